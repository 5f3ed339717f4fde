-- engagement_funnel
-- grain: one row per tenant and stage (user_id, stage)
-- reads: fct_contacts
-- note:  each stage counts the contacts that passed all stages before it; test runs are not counted
-- note:  a contact of a provider that tells no outcomes cannot be seen to be reached
-- column user_id: the tenant
-- column stage_order: 1 to 8
-- column stage: uploaded, contactable, matched, started, attempted, accepted, reached or succeeded
-- column contact_count: contacts that came this far
-- column previous_count: contacts of the stage before; of the first stage its own
-- column pass_rate: contact_count by previous_count, 0 to 1; null when there are none
-- column pass_rate_low: lower end of the 95 % Wilson interval of pass_rate
-- column pass_rate_high: upper end of the 95 % Wilson interval of pass_rate
-- column enough_data: whether previous_count is at least 30; below, read the interval and not the rate
with counts as (
    select
        user_id,
        count(*) as uploaded,
        count(*) filter (where is_contactable) as contactable,
        count(*) filter (where is_matched) as matched,
        count(*) filter (where is_started) as started,
        count(*) filter (where is_attempted) as attempted,
        count(*) filter (where is_accepted) as accepted,
        count(*) filter (where is_reached) as reached,
        count(*) filter (where is_succeeded) as succeeded
    from fct_contacts
    group by user_id
),

stages as (
    select counts.user_id, stage.*
    from counts
    cross join lateral (
        values
        (1, 'uploaded', counts.uploaded, counts.uploaded),
        (2, 'contactable', counts.contactable, counts.uploaded),
        (3, 'matched', counts.matched, counts.contactable),
        (4, 'started', counts.started, counts.matched),
        (5, 'attempted', counts.attempted, counts.started),
        (6, 'accepted', counts.accepted, counts.attempted),
        (7, 'reached', counts.reached, counts.accepted),
        (8, 'succeeded', counts.succeeded, counts.reached)
    ) as stage (stage_order, stage, contact_count, previous_count)
)

select
    stages.user_id,
    stages.stage_order,
    stages.stage,
    stages.contact_count,
    stages.previous_count,
    stages.contact_count / nullif(stages.previous_count, 0) as pass_rate,
    wilson_low(stages.contact_count, stages.previous_count) as pass_rate_low,
    wilson_high(stages.contact_count, stages.previous_count) as pass_rate_high,
    stages.previous_count >= 30 as enough_data
from stages
