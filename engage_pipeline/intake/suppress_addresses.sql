-- suppress_addresses: addresses that said no to a channel; an older wish for the same address stands
-- writes: suppressions
insert into suppressions (user_id, channel, address, source, created_at)
select
    %(user_id)s,
    wish.channel,
    wish.address,
    wish.source,
    %(now)s
from unnest(%(channels)s::text[], %(addresses)s::text[], %(sources)s::text[]) as wish (channel, address, source)
on conflict do nothing
