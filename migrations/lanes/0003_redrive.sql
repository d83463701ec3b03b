-- Redrive in exact order, and who did what (DESIGN §3, T25).
--
-- Only added to, so that a running release goes on beside this one during a rolling update: it does
-- not know the new columns, and it never redrives. The constraints hold from here on and are proved of
-- older rows by the next file: a scan under this one's locks would stop every stage.

-- How many redrives were begun: copies carry it, and it is part of the fence.
alter table lane add column redrive_seq bigint not null default 0;
alter table lane add constraint lane_redrive_seq_not_negative check (redrive_seq >= 0) not valid;

-- While a lane is redriving: the last number it is to take; null: all, until it opens.
alter table lane add column redrive_through bigint;
alter table lane add constraint lane_redrives_through_what_waits check (
    redrive_through is null or (status = 'redriving' and redrive_through > redriven_seq and redrive_through <= parked_seq)
) not valid;

-- SQS's id of the copy that took a message: only that copy, delivered again, repeats its output.
alter table parked_message add column taken_by text;
alter table parked_message add constraint parked_message_taken_when_redriven check (
    (taken_by is not null) = (resolution is not distinct from 'redriven')
) not valid;

-- Every act of an operator: appended, never changed.
create table audit (
    id bigint generated always as identity,
    at timestamptz not null,
    operator text not null,
    command text not null,
    account_id text collate "C",
    reason text,
    result text not null,
    constraint audit_pkey primary key (id),
    constraint audit_operator_named check (operator <> ''),
    constraint audit_command_named check (command <> '')
);

create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only: % is refused', lower(tg_op);
end
$$;

create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function audit_is_append_only();
