-- What was taken out of transit, off a list or to a position in the name of CAP, and was never sent to
-- that lane by the lane it names, or by itself. The ids are those that `cap_domain::transfer` derives.
with received as (
    select account_id, seq, request_id, kind, input::json #> '{item,body,planned,event}' as event
    from journal
    where
        kind in (
            'transfer.arrived', 'transfer.returned', 'transfer.landed', 'margin.posted', 'funding.unpaid'
        )
        and starts_with(result, '{"posted"')
        and ($1 = '' or account_id = $1)
),

-- One look at each lane that is named, by its key: `offset 0` keeps it so.
lanes as (
    select distinct coalesce(event ->> 'from', event ->> 'to', account_id) as account_id from received
),

causes as (
    select
        account_id,
        request_id,
        case
            when kind = 'transfer.requested' then 'transfer'
            when kind in ('margin.changed', 'leverage.changed') then 'margin'
            when kind = 'funding.charged' then 'funding'
            when starts_with(result, '{"posted"') then 'landing'
            else 'return'
        end as word,
        coalesce(
            input::json #>> '{item,arriving,from}',
            input::json #>> '{item,body,planned,event,to}',
            account_id
        ) as receiver
    from (
        select of_lane.*
        from lanes
        cross join lateral (
            select account_id, request_id, kind, result, input
            from journal
            where
                journal.account_id = lanes.account_id
                and kind in (
                    'transfer.arrived', 'transfer.requested',
                    'margin.changed', 'leverage.changed', 'funding.charged'
                )
            offset 0
        ) as of_lane
    ) as candidate
    where kind = 'transfer.arrived' or starts_with(result, '{"posted"')
),

sent as (
    select
        account_id,
        receiver,
        word || ':' || left(encode(sha256(convert_to(
            word || ' ' || account_id || ' ' || request_id, 'utf8'
        )), 'hex'), 32) as request_id
    from causes
)

select received.account_id, received.seq, received.kind, received.request_id
from received
where not exists (
    select from sent
    where
        sent.request_id = received.request_id
        and sent.account_id
        = coalesce(received.event ->> 'from', received.event ->> 'to', received.account_id)
        and sent.receiver = received.account_id
)
order by received.account_id, received.seq
limit $2
