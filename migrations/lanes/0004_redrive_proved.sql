-- Proves the constraints of 0003 of the rows that were there before, beside running services.
alter table lane validate constraint lane_redrive_seq_not_negative;
alter table lane validate constraint lane_redrives_through_what_waits;
alter table parked_message validate constraint parked_message_taken_when_redriven;
