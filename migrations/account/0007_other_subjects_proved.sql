-- Proves the constraints of 0005 of the rows that were there before, beside running services.
alter table balance validate constraint balance_declared_by_name;
alter table balance validate constraint balance_declared_in_range;
alter table balance validate constraint balance_declared_in_smallest_units;
