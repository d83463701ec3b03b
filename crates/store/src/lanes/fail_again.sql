update parked_message
set error = failed.error
from unnest($1::text[], $2::bigint[], $3::text[]) as failed (account_id, parked_seq, error)
where parked_message.account_id = failed.account_id
    and parked_message.parked_seq = failed.parked_seq
