-- Clearing's own database (T12): the configurations it decided under.
--
-- Clearing keeps no state per account (C2). Every message is one journal row, with its whole input
-- and result, so that replaying the journal proves the plans; for that the configuration of every
-- journaled revision is kept for as long as the rows are. No foreign keys: they would halve the
-- rate, and the commit's fence already holds what they would.

-- The configurations that decided, by revision: written before the first decision under one.
create table configuration (
    revision bigint not null,
    document text not null,
    stored_at timestamptz not null default now(),
    constraint configuration_pkey primary key (revision),
    constraint configuration_revision_from_one check (revision >= 1)
);
