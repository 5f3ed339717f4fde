-- failure_reasons
-- grain: one row per tenant, flow, channel, status and reason (user_id, flow_id, channel, action_status, reason)
-- reads: fct_actions, stg_flows
-- note:  test runs are not counted
-- column user_id: the tenant
-- column flow_id: the flow
-- column flow_name: the flow's name today
-- column channel: ai_call, whatsapp_message or email
-- column action_status: failed or skipped
-- column reason: the provider's code, else the outcome, else the rule that skipped it; 'unstated' when nobody said
-- column action_count: actions that ended so
-- column flow_channel_count: actions of the flow on the channel that failed or were skipped
-- column reason_rate: action_count by flow_channel_count, 0 to 1
-- column reason_rate_low: lower end of the 95 % Wilson interval of reason_rate
-- column reason_rate_high: upper end of the 95 % Wilson interval of reason_rate
-- column enough_data: whether flow_channel_count is at least 30
with counts as (
    select
        user_id,
        flow_id,
        channel,
        action_status,
        reason,
        count(*) as action_count
    from fct_actions
    where reason is not null
    group by all
),

totals as (
    select
        *,
        (sum(action_count) over (partition by user_id, flow_id, channel))::bigint as flow_channel_count
    from counts
)

select
    totals.user_id,
    totals.flow_id,
    stg_flows.flow_name,
    totals.channel,
    totals.action_status,
    totals.reason,
    totals.action_count,
    totals.flow_channel_count,
    totals.action_count / totals.flow_channel_count as reason_rate,
    wilson_low(totals.action_count, totals.flow_channel_count) as reason_rate_low,
    wilson_high(totals.action_count, totals.flow_channel_count) as reason_rate_high,
    totals.flow_channel_count >= 30 as enough_data
from totals
inner join stg_flows on totals.flow_id = stg_flows.flow_id
