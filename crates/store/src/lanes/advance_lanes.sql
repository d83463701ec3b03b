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
from unnest(
    $1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[],
    $6::bigint[], $7::bytea[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::timestamptz[], $13::text[],
    $14::bigint[], $15::bigint[], $16::bigint[], $17::bytea[]
) as changed (
    account_id, expected_seq, expected_status, expected_parked_seq, expected_redriven_seq,
    seq, head, upstream_seq, status, parked_seq, redriven_seq, suspended_at, suspended_reason,
    expected_redrive_seq, redrive_seq, redrive_through, expected_head
)
where lane.account_id = changed.account_id
    and lane.seq = changed.expected_seq
    and lane.status = changed.expected_status
    and lane.parked_seq = changed.expected_parked_seq
    and lane.redriven_seq = changed.expected_redriven_seq
    and lane.redrive_seq = changed.expected_redrive_seq
    and lane.head = changed.expected_head
