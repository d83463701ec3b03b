-- The account service's own database (T12): its lanes and the money.
--
-- Legs live in the journal row's result and balances in one row per account and currency, so that a
-- posting writes one row of each (A5). Rust checks every invariant before the write; the named
-- constraints hold it after the write. No foreign keys: they would halve the rate, and the commit's
-- fence already holds what they would.

-- Where each lane stands. `seq` is its fence: a batch commits only if it is still what it was when
-- the batch was decided, so no row is ever locked in advance (C7).
create table lane (
    account_id text collate "C" not null,
    seq bigint not null,
    head bytea not null,
    upstream_seq bigint not null,
    status text collate "C" not null,
    parked_seq bigint not null,
    redriven_seq bigint not null,
    suspended_at timestamptz,
    suspended_reason text,
    constraint lane_pkey primary key (account_id),
    constraint lane_seq_not_negative check (seq >= 0),
    constraint lane_head_is_sha256 check (octet_length(head) = 32),
    constraint lane_upstream_seq_not_negative check (upstream_seq >= 0),
    constraint lane_status_known check (status in ('active', 'suspended', 'redriving')),
    constraint lane_redriven_within_parked check (redriven_seq >= 0 and redriven_seq <= parked_seq),
    constraint lane_active_has_nothing_parked check (status <> 'active' or redriven_seq = parked_seq),
    constraint lane_active_or_reason check ((status = 'active') = (suspended_reason is null)),
    constraint lane_reason_with_time check ((suspended_reason is null) = (suspended_at is null))
) with (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

-- For support and alarms: the few lanes that need someone.
create index lane_not_active on lane (account_id) where status <> 'active';

-- One row per message, accepted or refused: appended, never changed. Both keys begin with the
-- account, because the primary answers by key only (C13); a trace across lanes is for the query store.
create table journal (
    account_id text collate "C" not null,
    seq bigint not null,
    request_id text collate "C" not null,
    fingerprint bytea not null,
    source_id text collate "C" not null,
    upstream_seq bigint,
    kind text collate "C" not null,
    sent_at timestamptz not null,
    decided_at timestamptz not null,
    rules_version smallint not null,
    configuration bigint not null,
    input text not null,
    result text not null,
    hash bytea not null,
    constraint journal_pkey primary key (account_id, seq),
    constraint journal_request_once unique (account_id, request_id),
    constraint journal_seq_from_one check (seq >= 1),
    constraint journal_fingerprint_is_16_bytes check (octet_length(fingerprint) = 16),
    constraint journal_upstream_seq_from_one check (upstream_seq >= 1),
    constraint journal_rules_version_not_negative check (rules_version >= 0),
    constraint journal_configuration_not_negative check (configuration >= 0),
    constraint journal_hash_is_sha256 check (octet_length(hash) = 32)
) with (
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

-- What a suspended lane could not take, in the order of redrive. The row is the truth; the
-- dead-letter queue only shows it (DESIGN §3).
create table parked_message (
    account_id text collate "C" not null,
    parked_seq bigint not null,
    request_id text collate "C" not null,
    source_id text collate "C" not null,
    raw text not null,
    sent_at timestamptz not null,
    parked_at timestamptz not null,
    error text not null,
    resolution text collate "C",
    resolved_at timestamptz,
    resolved_by text,
    resolution_reason text,
    constraint parked_message_pkey primary key (account_id, parked_seq),
    constraint parked_message_source_once unique (account_id, source_id),
    constraint parked_message_seq_from_one check (parked_seq >= 1),
    constraint parked_message_resolution_known check (resolution in ('redriven', 'skipped')),
    constraint parked_message_resolved_with_time check ((resolution is null) = (resolved_at is null)),
    constraint parked_message_skipped_by_someone_for_a_reason check (
        resolution is distinct from 'skipped' or (resolved_by is not null and resolution_reason is not null)
    )
);

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
