update parked_message
set
    resolution = 'redriven',
    resolved_at = redriven.resolved_at,
    taken_by = redriven.taken_by
from unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[])
    as redriven (account_id, parked_seq, resolved_at, taken_by)
where parked_message.account_id = redriven.account_id
    and parked_message.parked_seq = redriven.parked_seq
    and parked_message.resolution is null
