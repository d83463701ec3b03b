insert into parked_message (
    account_id, parked_seq, request_id, source_id, raw, sent_at, parked_at, error
)
select * from unnest(
    $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[]
)
