-- Proves the constraint of 0007 of the rows that were there before, beside running services.
alter table position validate constraint position_leverage_seq_in_range;
