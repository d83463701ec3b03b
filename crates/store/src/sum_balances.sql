select split_part(account_id, '_', 1) as company, currency, subject, sum(amount)::text
from balance
cross join lateral (
    values
        ('available', available),
        ('frozen', frozen),
        ('margin', margin),
        ('withdrawing', withdrawing),
        ('borrowed', borrowed)
    union all
    select name, declared_share::numeric from jsonb_each_text(declared) as other (name, declared_share)
) as share (subject, amount)
group by company, currency, subject
order by company, currency, subject
