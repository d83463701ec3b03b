insert into position (
    account_id, symbol, currency, decimals, quantity, cost, margin, leverage, realised_profit, closed_at,
    margin_mode, contract, leverage_seq
)
select * from unnest(
    $1::text[], $2::text[], $3::text[], $4::smallint[],
    $5::numeric[], $6::numeric[], $7::numeric[], $8::numeric[], $9::numeric[], $10::timestamptz[],
    $11::text[], $12::text[], $13::bigint[]
)
on conflict (account_id, symbol) do update
set
    currency = excluded.currency,
    decimals = excluded.decimals,
    quantity = excluded.quantity,
    cost = excluded.cost,
    margin = excluded.margin,
    leverage = excluded.leverage,
    realised_profit = excluded.realised_profit,
    closed_at = excluded.closed_at,
    margin_mode = excluded.margin_mode,
    contract = excluded.contract,
    leverage_seq = excluded.leverage_seq
