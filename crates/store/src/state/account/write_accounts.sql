insert into account (
    account_id, status, customer, credit_currency, credit_decimals, credit_limit, credit_enabled,
    liquidating, withdrawals, closed_at, transfers_under_way, funding_unpaid
)
select * from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::numeric[], $7::boolean[],
    $8::boolean[], $9::text[], $10::timestamptz[],
    $11::text[], $12::text[]
)
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
