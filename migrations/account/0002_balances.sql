-- The account service's own database (T12): the money.
--
-- Legs live in the journal row's result and balances in one row per account and currency, so that a
-- posting writes one row of each (A5). Rust checks every invariant before the write; the named
-- constraints hold it after the write. No foreign keys: they would halve the rate, and the commit's
-- fence already holds what they would.

-- What an account is, apart from its money.
create table account (
    account_id text collate "C" not null,
    status text collate "C" not null,
    customer text,
    credit_currency text collate "C",
    credit_decimals smallint,
    credit_limit numeric,
    credit_enabled boolean,
    liquidating boolean not null,
    -- Withdrawals under way, as a JSON object by withdrawal id.
    withdrawals text not null,
    closed_at timestamptz,
    constraint account_pkey primary key (account_id),
    constraint account_status_known check (status in ('open', 'closed')),
    constraint account_credit_whole check (num_nulls(credit_currency, credit_decimals, credit_limit, credit_enabled) in (0, 4)),
    constraint account_credit_limit_in_range check (credit_limit >= 0 and credit_limit < 1e15),
    constraint account_credit_in_smallest_units check (scale(credit_limit) <= credit_decimals),
    constraint account_closed_with_time check ((status = 'closed') = (closed_at is not null))
) with (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.05
);

-- An account's money in one currency, by subject.
create table balance (
    account_id text collate "C" not null,
    currency text collate "C" not null,
    decimals smallint not null,
    available numeric not null,
    frozen numeric not null,
    margin numeric not null,
    withdrawing numeric not null,
    borrowed numeric not null,
    constraint balance_pkey primary key (account_id, currency),
    constraint balance_decimals_in_range check (decimals between 0 and 12),
    -- The upper bounds also keep NaN and infinity out, which are above every number.
    constraint balance_available_in_range check (available >= 0 and available < 1e15),
    constraint balance_frozen_in_range check (frozen >= 0 and frozen < 1e15),
    constraint balance_margin_in_range check (margin >= 0 and margin < 1e15),
    constraint balance_withdrawing_in_range check (withdrawing >= 0 and withdrawing < 1e15),
    constraint balance_borrowed_in_range check (borrowed >= 0 and borrowed < 1e15),
    constraint balance_available_or_borrowed check (available = 0 or borrowed = 0),
    constraint balance_in_smallest_units check (
        greatest(scale(available), scale(frozen), scale(margin), scale(withdrawing), scale(borrowed)) <= decimals
    )
) with (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
