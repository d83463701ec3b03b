-- What an account keeps of funding that it could not pay and asked a position for, until that comes back,
-- so that it does not close meanwhile (ADR 11).
--
-- Only added to: tasks of the release before go on beside this one during a rolling update. They insert
-- and update without the column, and nothing is kept before the configuration says so, which is pushed
-- after that release is gone.

-- A JSON object by the request id under which each comes back: symbol, amount. Null: nothing.
alter table account add column funding_unpaid text;
