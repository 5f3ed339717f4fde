-- clear_events: applied events of providers forget their bodies; which they were and what came of them stays
-- writes: provider_events
update provider_events
set body = null
where applied_at < %(before)s and body is not null
