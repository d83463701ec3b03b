-- The account's own subjects have no colon and are not `transit`; theirs are the balances.
select
    split_part(account_id, '_', 1) as company,
    leg ->> 'currency' as currency,
    subject,
    sum(amount)::text
from journal
cross join lateral jsonb_array_elements(
    case when starts_with(result, '{"posted"') then result::jsonb #> '{posted,legs}' else '[]' end
) as leg
cross join lateral (
    values
        (leg ->> 'to', (leg ->> 'amount')::numeric),
        (leg ->> 'from', -(leg ->> 'amount')::numeric)
) as moved (subject, amount)
where subject = 'transit' or strpos(subject, ':') > 0
group by company, currency, subject
order by company, currency, subject
