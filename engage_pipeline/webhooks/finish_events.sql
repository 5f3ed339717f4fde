-- finish_events: what became of events; one without a result is looked at again at its due_at
update provider_events as events
set
    result = finished.result,
    applied_at = case when finished.result is not null then %(now)s end,
    due_at = case when finished.result is null then finished.due_at end
from unnest(%(event_ids)b::bigint[], %(results)b::text[], %(due_ats)b::timestamptz[])
    as finished (event_id, result, due_at)
where events.id = finished.event_id and events.due_at is not null
