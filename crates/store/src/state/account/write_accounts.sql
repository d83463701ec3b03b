insert into account (
    account_id, status, customer, credit_currency, credit_decimals, credit_limit, credit_enabled,
    liquidating, withdrawals, closed_at, transfers_under_way, funding_unpaid
)
select
    unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::smallint[]),
    unnest($6::numeric[]), unnest($7::boolean[]), unnest($8::boolean[]), unnest($9::text[]),
    unnest($10::timestamptz[]), unnest($11::text[]), unnest($12::text[])
on conflict (account_id) do update
set
    status = excluded.status,
    customer = excluded.customer,
    credit_currency = excluded.credit_currency,
    credit_decimals = excluded.credit_decimals,
    credit_limit = excluded.credit_limit,
    credit_enabled = excluded.credit_enabled,
    liquidating = excluded.liquidating,
    withdrawals = excluded.withdrawals,
    closed_at = excluded.closed_at,
    transfers_under_way = excluded.transfers_under_way,
    funding_unpaid = excluded.funding_unpaid
