insert into journal (
    account_id, seq, request_id, fingerprint, source_id, upstream_seq, kind,
    sent_at, decided_at, rules_version, configuration, input, result, hash
)
select * from unnest(
    $1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::bigint[], $7::text[],
    $8::timestamptz[], $9::timestamptz[], $10::smallint[], $11::bigint[], $12::text[], $13::text[], $14::bytea[]
)
