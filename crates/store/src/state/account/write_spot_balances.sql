-- Balances that are available and frozen, and nothing else: what is zero is not sent, which is half of them.
insert into balance (
    account_id, currency, decimals, available, frozen, margin, withdrawing, borrowed, declared
)
select
    unnest($1::text[]), unnest($2::text[]), unnest($3::smallint[]),
    unnest($4::numeric[]), unnest($5::numeric[]), 0, 0, 0, null
on conflict (account_id, currency) do update
set
    decimals = excluded.decimals,
    available = excluded.available,
    frozen = excluded.frozen,
    margin = excluded.margin,
    withdrawing = excluded.withdrawing,
    borrowed = excluded.borrowed,
    declared = excluded.declared
