-- fct_daily_outcomes
-- grain: one row per tenant, flow, version, action, lead source and day of sending (user_id, flow_id, flow_version,
--        action_order, channel, lead_source, send_date)
-- reads: fct_actions
-- refresh: by send_date
-- note:  the marts add these counts up, so that one definition gives one number everywhere
-- column user_id: the tenant
-- column flow_id: the flow
-- column flow_version: the version of the flow
-- column action_order: the action's place in the flow, from 1
-- column channel: ai_call, whatsapp_message or email
-- column lead_source: where the contacts came from; null when nobody said
-- column send_date: day of sending in the tenant's zone; null for what was not sent
-- column attempted_count: requests made and answered
-- column accepted_count: requests that the provider took
-- column outcome_known_count: accepted, with a known outcome
-- column reached_count: of these, reached
-- column succeeded_count: of these, succeeded
-- column still_out_count: accepted, outcome not known yet and within its timeout
-- column no_feed_count: accepted by a provider that tells no outcomes
-- column unknown_count: the request may or may not have arrived
-- column open_count: pending or being sent
-- column skipped_count: left out by a condition or a rule
-- column voicemail_count: calls that reached a voicemail
-- column complained_count: messages that were complained about
-- column opted_out_count: contacts that said no in answer
-- column costed_count: actions whose cost is known
-- column cost_cents: sum of the known costs, in cents of US dollars
-- column call_seconds: sum of the lengths of the conversations
select
    fct_actions.user_id,
    fct_actions.flow_id,
    fct_actions.flow_version,
    fct_actions.action_order,
    fct_actions.channel,
    fct_actions.lead_source,
    fct_actions.send_date,
    count(*) filter (where is_attempted) as attempted_count,
    count(*) filter (where is_accepted) as accepted_count,
    count(*) filter (where is_outcome_known) as outcome_known_count,
    count(*) filter (where is_reached) as reached_count,
    count(*) filter (where is_succeeded) as succeeded_count,
    count(*) filter (where is_still_out) as still_out_count,
    count(*) filter (where is_accepted and not is_still_out and not is_outcome_known) as no_feed_count,
    count(*) filter (where action_status = 'unknown') as unknown_count,
    count(*) filter (where action_status in ('pending', 'sending')) as open_count,
    count(*) filter (where action_status = 'skipped') as skipped_count,
    count(*) filter (where is_outcome_known and outcome = 'voicemail') as voicemail_count,
    count(*) filter (where is_outcome_known and outcome = 'complained') as complained_count,
    count(*) filter (where is_outcome_known and outcome = 'opted_out') as opted_out_count,
    count(fct_actions.cost_cents) as costed_count,
    coalesce(sum(fct_actions.cost_cents), 0)::decimal(18, 4) as cost_cents,
    coalesce(sum(fct_actions.call_seconds), 0)::decimal(18, 3) as call_seconds
from fct_actions
group by
    fct_actions.user_id,
    fct_actions.flow_id,
    fct_actions.flow_version,
    fct_actions.action_order,
    fct_actions.channel,
    fct_actions.lead_source,
    fct_actions.send_date
