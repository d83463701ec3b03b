-- What an account keeps of the transfers that left it and have neither landed nor come back, so that
-- it takes back nothing that never left, and does not close while something may come back (ADR 9).
--
-- Only added to: tasks of the release before go on beside this one during a rolling update. They insert
-- without the column, and what the default says is true of all they know; they update the others and
-- leave it as it is. A constant default rewrites no row.

-- A JSON object by the request id under which each arrives: transfer_id, to, amount.
alter table account add column transfers_under_way text not null default '{}';
