-- The lanes of a stage (DESIGN §2): the same tables in the database of each service (T12), because
-- exactly-once, order, suspension and the replay proof are one mechanism. Each service's folder
-- links to this file.
--
-- One narrow row a message and no foreign keys: they would halve the rate, and the commit's fence
-- already holds what they would.

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
