-- Arrays of one length, unpacked side by side. In the list of columns rather than behind `from`, where
-- PostgreSQL would first put all rows aside in a store of its own: a quarter of the statement.
insert into journal (
    account_id, seq, request_id, fingerprint, source_id, upstream_seq, kind,
    sent_at, decided_at, rules_version, configuration, input, result, hash
)
select
    unnest($1::text[]), unnest($2::bigint[]), unnest($3::text[]), unnest($4::bytea[]), unnest($5::text[]),
    unnest($6::bigint[]), unnest($7::text[]), unnest($8::timestamptz[]), unnest($9::timestamptz[]),
    unnest($10::smallint[]), unnest($11::bigint[]), unnest($12::text[]), unnest($13::text[]), unnest($14::bytea[])
