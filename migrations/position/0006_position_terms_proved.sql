-- Proves the constraints of 0005 of the rows that were there before, beside running services.
alter table position_account validate constraint position_account_mode_known;
alter table position validate constraint position_side_known;
alter table position validate constraint position_on_its_side;
alter table position validate constraint position_margin_mode_known;
