-- hourly_heatmap
-- grain: one row per tenant, channel, weekday and hour of sending (user_id, channel, send_weekday, send_hour)
-- reads: fct_actions
-- note:  what attempted, accepted, reached and succeeded mean is said in fct_actions; test runs are not counted
-- column user_id: the tenant
-- column channel: ai_call, whatsapp_message or email
-- column send_weekday: weekday of sending in the tenant's zone, 1 is Monday
-- column send_hour: hour of sending in the tenant's zone, 0 to 23
-- column attempted_count: requests made and answered: accepted, refused or given up
-- column accepted_count: requests that the provider took
-- column outcome_known_count: accepted requests whose outcome is known; the denominator of reach and success
-- column reached_count: of these, reached: call answered or voicemail; WhatsApp delivered or read; e-mail delivered or opened
-- column succeeded_count: of these, succeeded: call answered; WhatsApp and e-mail reached, and neither complained nor opted out
-- column still_out_count: accepted, outcome not known yet and within its timeout; in no rate
-- column no_feed_count: accepted by a provider that tells no outcomes (SMTP); in the acceptance rate only
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
        channel,
        send_weekday,
        send_hour,
        count(*) filter (where is_attempted) as attempted_count,
        count(*) filter (where is_accepted) as accepted_count,
        count(*) filter (where is_outcome_known) as outcome_known_count,
        count(*) filter (where is_reached) as reached_count,
        count(*) filter (where is_succeeded) as succeeded_count,
        count(*) filter (where is_still_out) as still_out_count,
        count(*) filter (where is_accepted and not is_still_out and not is_outcome_known) as no_feed_count
    from fct_actions
    where send_date is not null
    group by all
)

select
    counts.user_id,
    counts.channel,
    counts.send_weekday,
    counts.send_hour,
    counts.attempted_count,
    counts.accepted_count,
    counts.outcome_known_count,
    counts.reached_count,
    counts.succeeded_count,
    counts.still_out_count,
    counts.no_feed_count,
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
