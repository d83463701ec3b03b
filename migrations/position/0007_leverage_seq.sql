-- Which change of leverage took hold of a position last, by clearing's number of it, so that margin which
-- is posted for an earlier one does not undo it (ADR 11).
--
-- Only added to: tasks of the release before go on beside this one during a rolling update. They insert
-- without the column, and what the default says is true of all they know; they update the others and
-- leave it as it is. A constant default rewrites no row.
--
-- The constraint holds from here on and is proved of older rows by the next file: a scan under this
-- one's locks would stop the stage.

alter table position add column leverage_seq bigint not null default 0;
alter table position add constraint position_leverage_seq_in_range check (leverage_seq >= 0) not valid;
