insert into lane (
    account_id, seq, head, upstream_seq, status, parked_seq, redriven_seq, suspended_at, suspended_reason,
    redrive_seq, redrive_through
)
select * from unnest(
    $1::text[], $2::bigint[], $3::bytea[], $4::bigint[], $5::text[],
    $6::bigint[], $7::bigint[], $8::timestamptz[], $9::text[],
    $10::bigint[], $11::bigint[]
)
on conflict (account_id) do nothing
