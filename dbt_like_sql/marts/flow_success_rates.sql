-- flow_success_rates
-- grain: one row per tenant, flow and channel that has an action (user_id, flow_id, channel)
-- reads: fct_daily_outcomes, stg_flows
-- note:  what attempted, accepted, reached and succeeded mean is said in fct_actions; test runs are not counted
-- note:  a flow's name and priority are today's; its counts are of all its versions
-- column user_id: the tenant
-- column flow_id: the flow
-- column channel: ai_call, whatsapp_message or email
-- column flow_name: the flow's name today
-- column flow_priority: the flow's priority today, 0 is asked first; null when deleted
-- column attempted_count: requests made and answered: accepted, refused or given up
-- column accepted_count: requests that the provider took
-- column outcome_known_count: accepted requests whose outcome is known; the denominator of reach and success
-- column reached_count: of these, reached: call answered or voicemail; WhatsApp delivered or read; e-mail delivered or opened
-- column succeeded_count: of these, succeeded: call answered; WhatsApp and e-mail reached, and neither complained nor opted out
-- column still_out_count: accepted, outcome not known yet and within its timeout; in no rate
-- column no_feed_count: accepted by a provider that tells no outcomes (SMTP); in the acceptance rate only
-- column unknown_count: requests that may or may not have arrived; in no rate
-- column open_count: actions still pending or being sent; in no rate
-- column skipped_count: actions that a condition or a rule left out; in no rate
-- column acceptance_rate: accepted_count by attempted_count, 0 to 1; null when there are none
-- column acceptance_rate_low: lower end of the 95 % Wilson interval of acceptance_rate
-- column acceptance_rate_high: upper end of the 95 % Wilson interval of acceptance_rate
-- column reach_rate: reached_count by outcome_known_count, 0 to 1; null when there are none
-- column reach_rate_low: lower end of the 95 % Wilson interval of reach_rate
-- column reach_rate_high: upper end of the 95 % Wilson interval of reach_rate
-- column success_rate: succeeded_count by outcome_known_count, 0 to 1; null when there are none
-- column success_rate_low: lower end of the 95 % Wilson interval of success_rate
-- column success_rate_high: upper end of the 95 % Wilson interval of success_rate
-- column acceptance_enough_data: whether attempted_count is at least 30; below, read the interval and not the rate
-- column enough_data: whether outcome_known_count is at least 30; below, read the interval and not the rates
with counts as (
    select
        user_id,
        flow_id,
        channel,
        sum(attempted_count)::bigint as attempted_count,
        sum(accepted_count)::bigint as accepted_count,
        sum(outcome_known_count)::bigint as outcome_known_count,
        sum(reached_count)::bigint as reached_count,
        sum(succeeded_count)::bigint as succeeded_count,
        sum(still_out_count)::bigint as still_out_count,
        sum(no_feed_count)::bigint as no_feed_count,
        sum(unknown_count)::bigint as unknown_count,
        sum(open_count)::bigint as open_count,
        sum(skipped_count)::bigint as skipped_count
    from fct_daily_outcomes
    group by all
)

select
    counts.user_id,
    counts.flow_id,
    counts.channel,
    stg_flows.flow_name,
    stg_flows.flow_priority,
    counts.attempted_count,
    counts.accepted_count,
    counts.outcome_known_count,
    counts.reached_count,
    counts.succeeded_count,
    counts.still_out_count,
    counts.no_feed_count,
    counts.unknown_count,
    counts.open_count,
    counts.skipped_count,
    counts.accepted_count / nullif(counts.attempted_count, 0) as acceptance_rate,
    wilson_low(counts.accepted_count, counts.attempted_count) as acceptance_rate_low,
    wilson_high(counts.accepted_count, counts.attempted_count) as acceptance_rate_high,
    counts.reached_count / nullif(counts.outcome_known_count, 0) as reach_rate,
    wilson_low(counts.reached_count, counts.outcome_known_count) as reach_rate_low,
    wilson_high(counts.reached_count, counts.outcome_known_count) as reach_rate_high,
    counts.succeeded_count / nullif(counts.outcome_known_count, 0) as success_rate,
    wilson_low(counts.succeeded_count, counts.outcome_known_count) as success_rate_low,
    wilson_high(counts.succeeded_count, counts.outcome_known_count) as success_rate_high,
    counts.attempted_count >= 30 as acceptance_enough_data,
    counts.outcome_known_count >= 30 as enough_data
from counts
inner join stg_flows on counts.flow_id = stg_flows.flow_id
