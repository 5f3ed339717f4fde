-- store_events: events as they came, once each; one that was stored before is counted and otherwise left alone
insert into provider_events (account_id, event_key, body, delivery_count)
select
    given.account_id,
    given.event_key,
    given.body,
    given.delivery_count
from unnest(
    %(account_ids)b::uuid[], %(event_keys)b::text[], %(bodies)b::text[], %(counts)b::int[]
) as given (account_id, event_key, body, delivery_count)
on conflict (account_id, event_key) do update
set delivery_count = provider_events.delivery_count + excluded.delivery_count
