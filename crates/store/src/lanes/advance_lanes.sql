update lane
set
    seq = changed.seq,
    head = changed.head,
    upstream_seq = changed.upstream_seq,
    status = changed.status,
    parked_seq = changed.parked_seq,
    redriven_seq = changed.redriven_seq,
    suspended_at = changed.suspended_at,
    suspended_reason = changed.suspended_reason,
    redrive_seq = changed.redrive_seq,
    redrive_through = changed.redrive_through
from (
    select
        unnest($1::text[]) as account_id, unnest($2::bigint[]) as expected_seq, unnest($3::text[]) as expected_status,
        unnest($4::bigint[]) as expected_parked_seq, unnest($5::bigint[]) as expected_redriven_seq,
        unnest($6::bigint[]) as seq, unnest($7::bytea[]) as head, unnest($8::bigint[]) as upstream_seq,
        unnest($9::text[]) as status, unnest($10::bigint[]) as parked_seq, unnest($11::bigint[]) as redriven_seq,
        unnest($12::timestamptz[]) as suspended_at, unnest($13::text[]) as suspended_reason,
        unnest($14::bigint[]) as expected_redrive_seq, unnest($15::bigint[]) as redrive_seq,
        unnest($16::bigint[]) as redrive_through, unnest($17::bytea[]) as expected_head
) as changed
where lane.account_id = changed.account_id
    and lane.seq = changed.expected_seq
    and lane.status = changed.expected_status
    and lane.parked_seq = changed.expected_parked_seq
    and lane.redriven_seq = changed.expected_redriven_seq
    and lane.redrive_seq = changed.expected_redrive_seq
    and lane.head = changed.expected_head
