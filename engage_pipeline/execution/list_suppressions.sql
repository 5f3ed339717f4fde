-- list_suppressions: a tenant's suppressed addresses by channel and address, after a place in that order
select
    channel,
    address,
    source,
    created_at
from suppressions
where
    user_id = %(user_id)s
    and (%(channel)s::text is null or channel = %(channel)s)
    and (%(after_channel)s::text is null or (channel, address) > (%(after_channel)s, %(after_address)s))
order by channel, address
limit %(at_most)s
