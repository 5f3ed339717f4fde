-- provider_cost
-- grain: one row per tenant, channel and day of sending (user_id, channel, send_date)
-- reads: fct_daily_outcomes
-- note:  test runs are not counted; what a provider charges for an action counts on the day the action was sent
-- column user_id: the tenant
-- column channel: ai_call, whatsapp_message or email
-- column send_date: day of sending in the tenant's zone
-- column accepted_count: requests that the provider took
-- column succeeded_count: of these, known to have succeeded
-- column costed_count: actions whose cost the provider told
-- column cost_cents: sum of those costs, in cents of US dollars
-- column call_seconds: sum of the lengths of the conversations
-- column cost_cents_per_costed: cost_cents by costed_count; null when no cost is known
-- column cost_cents_per_succeeded: cost_cents by succeeded_count; null when nothing is known to have succeeded
with counts as (
    select
        user_id,
        channel,
        send_date,
        sum(accepted_count)::bigint as accepted_count,
        sum(succeeded_count)::bigint as succeeded_count,
        sum(costed_count)::bigint as costed_count,
        sum(cost_cents)::double as cost_cents,
        sum(call_seconds)::double as call_seconds
    from fct_daily_outcomes
    where send_date is not null
    group by user_id, channel, send_date
)

select
    counts.user_id,
    counts.channel,
    counts.send_date,
    counts.accepted_count,
    counts.succeeded_count,
    counts.costed_count,
    counts.cost_cents,
    counts.call_seconds,
    case when counts.costed_count > 0 then counts.cost_cents / counts.costed_count end as cost_cents_per_costed,
    case when counts.succeeded_count > 0 then counts.cost_cents / counts.succeeded_count end as cost_cents_per_succeeded
from counts
