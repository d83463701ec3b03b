insert into balance (
    account_id, currency, decimals, available, frozen, margin, withdrawing, borrowed, declared
)
select account_id, currency, decimals, available, frozen, margin, withdrawing, borrowed, declared::jsonb
from unnest(
    $1::text[], $2::text[], $3::smallint[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[], $8::numeric[],
    $9::text[]
) as written (account_id, currency, decimals, available, frozen, margin, withdrawing, borrowed, declared)
on conflict (account_id, currency) do update
set
    decimals = excluded.decimals,
    available = excluded.available,
    frozen = excluded.frozen,
    margin = excluded.margin,
    withdrawing = excluded.withdrawing,
    borrowed = excluded.borrowed,
    declared = excluded.declared
