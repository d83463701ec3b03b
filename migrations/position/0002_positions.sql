-- The position service's own database (T12): what accounts hold of each contract.
--
-- Quantity and cost are kept exact and averages are derived (DESIGN §6), so a fill writes one journal
-- row and one position row. Rust checks every invariant before the write; the named constraints hold
-- it after the write. No foreign keys: they would halve the rate, and the commit's fence already
-- holds what they would.

-- The accounts this service knows of.
create table position_account (
    account_id text collate "C" not null,
    opened boolean not null,
    constraint position_account_pkey primary key (account_id)
);

-- What an account holds, and held, of one contract. `currency` and `decimals` are those of margin
-- and realised profit; cost always has 12 decimals.
create table position (
    account_id text collate "C" not null,
    symbol text collate "C" not null,
    currency text collate "C" not null,
    decimals smallint not null,
    quantity numeric not null,
    cost numeric not null,
    margin numeric not null,
    leverage numeric not null,
    realised_profit numeric not null,
    -- Since when nothing is held: what is closed for three months is archived (C11).
    closed_at timestamptz,
    constraint position_pkey primary key (account_id, symbol),
    constraint position_decimals_in_range check (decimals between 0 and 12),
    -- The upper bounds also keep NaN and infinity out, which are above every number.
    constraint position_quantity_in_range check (quantity > -1e15 and quantity < 1e15),
    constraint position_cost_in_range check (cost >= 0 and cost < 1e15 and scale(cost) <= 12),
    constraint position_margin_in_range check (margin >= 0 and margin < 1e15),
    constraint position_leverage_in_range check (leverage > 0 and leverage < 1e15),
    constraint position_realised_profit_in_range check (realised_profit > -1e15 and realised_profit < 1e15),
    constraint position_in_smallest_units check (greatest(scale(margin), scale(realised_profit)) <= decimals),
    constraint position_closed_holds_nothing check (quantity <> 0 or (cost = 0 and margin = 0)),
    constraint position_closed_with_time check ((quantity = 0) = (closed_at is not null))
) with (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
