insert into position (
    account_id, symbol, currency, decimals, quantity, cost, margin, leverage, realised_profit, closed_at,
    margin_mode, contract, leverage_seq
)
select
    unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::smallint[]),
    unnest($5::numeric[]), unnest($6::numeric[]), unnest($7::numeric[]), unnest($8::numeric[]), unnest($9::numeric[]),
    unnest($10::timestamptz[]), unnest($11::text[]), unnest($12::text[]), unnest($13::bigint[])
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
