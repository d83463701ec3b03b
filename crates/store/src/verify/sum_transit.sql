-- What is in transit by the legs of the journal, over all companies.
select leg ->> 'currency' as currency, sum(
    case when leg ->> 'to' = 'transit' then (leg ->> 'amount')::numeric
        else -(leg ->> 'amount')::numeric end
)::text
from journal
cross join lateral jsonb_array_elements(
    case
        when starts_with(result, '{"posted"') and strpos(result, '"transit"') > 0
            then result::jsonb #> '{posted,legs}'
        else '[]'
    end
) as leg
where 'transit' in (leg ->> 'from', leg ->> 'to')
group by 1
