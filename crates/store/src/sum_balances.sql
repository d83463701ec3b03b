select split_part(account_id, '_', 1) as company, currency, subject, sum(amount)::text
from balance
cross join lateral (
    values
        ('available', available),
        ('frozen', frozen),
        ('margin', margin),
        ('withdrawing', withdrawing),
        ('borrowed', borrowed)
) as share (subject, amount)
group by company, currency, subject
order by company, currency, subject
