-- Hedge mode, isolated margin, and the contract's figures that a position keeps while it is open (C6).
--
-- Only added to, so that tasks of the release before go on beside this one during a rolling update:
--
-- - They insert without the new columns. What the defaults say is true of all they know: one-way
--   accounts, cross margin. A position without figures of its own is one of theirs: linear, rounded
--   as everywhere, without tiers, the multiplier as its next event says.
-- - They write `on conflict (account_id, symbol)`, for which the primary key has to stay as it is. A
--   hedge account's two positions of a symbol are therefore told apart within the key: `BTC-USDT:long`
--   and `BTC-USDT:short`. No symbol has a colon, and a task of the release before that meets such a
--   row refuses the account as unreadable instead of taking half of what it holds for all of it.
-- - They close a position and leave `contract` as it was, so no constraint ties the two; whatever
--   stands there of a closed position counts for nothing.
--
-- Constant defaults rewrite no row. The constraints hold from here on and are proved of older rows by
-- the next file: a scan under this one's locks would stop the stage.

alter table position_account add column position_mode text collate "C" not null default 'one_way';
alter table position_account add constraint position_account_mode_known check (
    position_mode in ('one_way', 'hedge')
) not valid;

alter table position add constraint position_side_known check (
    strpos(symbol, ':') = 0 or split_part(symbol, ':', 2) in ('long', 'short')
) not valid;

-- A hedge position keeps to its side.
alter table position add constraint position_on_its_side check (
    (symbol not like '%:long' or quantity >= 0) and (symbol not like '%:short' or quantity <= 0)
) not valid;

alter table position add column margin_mode text collate "C" not null default 'cross';
alter table position add constraint position_margin_mode_known check (
    margin_mode in ('cross', 'isolated')
) not valid;

-- JSON: symbol, kind, multiplier, settlement currency, rounding, maintenance tiers.
alter table position add column contract text;
