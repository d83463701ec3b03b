update lane
set
    seq = appended.seq,
    head = appended.head,
    upstream_seq = appended.upstream_seq
from (
    select
        unnest($1::text[]) as account_id, unnest($2::bigint[]) as expected_seq, unnest($3::bytea[]) as expected_head,
        unnest($4::bigint[]) as expected_parked_seq, unnest($5::bigint[]) as seq, unnest($6::bytea[]) as head,
        unnest($7::bigint[]) as upstream_seq, unnest($8::bigint[]) as expected_upstream_seq
) as appended
where lane.account_id = appended.account_id
    and lane.status = 'active'
    and lane.seq = appended.expected_seq
    and lane.head = appended.expected_head
    and lane.parked_seq = appended.expected_parked_seq
    and lane.upstream_seq = appended.expected_upstream_seq
