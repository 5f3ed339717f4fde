-- flow_success_rates
-- grain: one row per tenant, flow and channel that has an action log (user_id, flow_id, channel)
-- reads: stg_flow_action_logs, stg_flow_executions, stg_flows
-- note:  success means that the contact was reached, as the provider told after it had accepted; test runs are not counted
-- note:  a flow's name and priority are today's; its counts are of all its versions
-- column user_id: the tenant
-- column flow_id: the flow
-- column flow_name: the flow's name today
-- column flow_priority: the flow's priority today, 0 is asked first; null when deleted
-- column channel: ai_call, whatsapp_message or email
-- column attempted_count: actions with a final answer: success_count plus the failed ones
-- column success_count: actions that reached the contact: calls answered, messages and e-mails delivered, opened or read
-- column unknown_count: actions whose request may or may not have arrived; in no rate
-- column open_count: actions still pending, being sent, or waiting for their outcome; in no rate
-- column skipped_count: actions that their execute condition or a rule left out; in no rate
-- column success_rate: success_count by attempted_count, 0 to 1; null when nothing was attempted
-- column success_rate_low: lower end of the 95 % Wilson interval of success_rate
-- column success_rate_high: upper end of the 95 % Wilson interval of success_rate
-- column enough_data: whether attempted_count is at least 30; below, read the interval and not the rate
with logs as (
    select execution_id, action_type, action_status
    from stg_flow_action_logs
    where action_type in ('ai_call', 'whatsapp_message', 'email')
),

executions as (
    select execution_id, user_id, flow_id
    from stg_flow_executions
    where not is_test_run
),

flows as (
    select flow_id, flow_name, flow_priority from stg_flows
),

counts as (
    select
        executions.user_id,
        executions.flow_id,
        logs.action_type as channel,
        count(*) filter (where logs.action_status = 'success') as success_count,
        count(*) filter (where logs.action_status = 'failed') as failed_count,
        count(*) filter (where logs.action_status = 'unknown') as unknown_count,
        count(*) filter (where logs.action_status in ('pending', 'sending', 'sent')) as open_count,
        count(*) filter (where logs.action_status = 'skipped') as skipped_count
    from logs
    inner join executions on logs.execution_id = executions.execution_id
    group by executions.user_id, executions.flow_id, logs.action_type
),

-- 1.96 standard deviations, to the last digit of a double: the middle 95 % of a normal distribution.
attempts as (
    select
        *,
        success_count + failed_count as attempted_count,
        1.959963984540054::double as z
    from counts
),

-- Wilson (1927), in counts: (2s + z² -/+ z·sqrt(z² + 4sf/n)) / 2(n + z²). The upper end is taken as one minus the lower
-- end for the failures, which is the same number and, unlike the plus sign, never exceeds 1 by a rounding error.
intervals as (
    select
        *,
        z * sqrt(z * z + 4.0::double * success_count * failed_count / nullif(attempted_count, 0)) as spread,
        2 * (attempted_count + z * z) as divisor
    from attempts
)

select
    intervals.user_id,
    intervals.flow_id,
    flows.flow_name,
    flows.flow_priority,
    intervals.channel,
    intervals.attempted_count,
    intervals.success_count,
    intervals.unknown_count,
    intervals.open_count,
    intervals.skipped_count,
    intervals.success_count / nullif(intervals.attempted_count, 0) as success_rate,
    (2 * intervals.success_count + z * z - spread) / nullif(divisor, 0) as success_rate_low,
    1 - (2 * intervals.failed_count + z * z - spread) / nullif(divisor, 0) as success_rate_high,
    intervals.attempted_count >= 30 as enough_data
from intervals
inner join flows on intervals.flow_id = flows.flow_id
