-- time_to_first_touch
-- grain: one row per tenant and flow that touched a contact first (user_id, flow_id)
-- reads: fct_contacts, stg_flows
-- note:  from the moment the contact was first loaded to its first answered request; test runs are not counted
-- column user_id: the tenant
-- column flow_id: the flow of the first request
-- column flow_name: the flow's name today
-- column contact_count: contacts that were touched
-- column p50_seconds: half of them were touched within this many seconds
-- column p90_seconds: nine in ten were
-- column p99_seconds: ninety-nine in a hundred were
-- column enough_data: whether contact_count is at least 30
with touched as (
    select
        user_id,
        first_flow_id as flow_id,
        (epoch_us(first_sent_at) - epoch_us(created_at)) / 1000000 as seconds
    from fct_contacts
    where is_attempted
),

counts as (
    select
        user_id,
        flow_id,
        count(*) as contact_count,
        quantile_cont(seconds, [0.5, 0.9, 0.99]) as quantiles
    from touched
    group by user_id, flow_id
)

select
    counts.user_id,
    counts.flow_id,
    stg_flows.flow_name,
    counts.contact_count,
    counts.quantiles[1] as p50_seconds,
    counts.quantiles[2] as p90_seconds,
    counts.quantiles[3] as p99_seconds,
    counts.contact_count >= 30 as enough_data
from counts
inner join stg_flows on counts.flow_id = stg_flows.flow_id
