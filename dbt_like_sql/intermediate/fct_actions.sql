-- fct_actions
-- grain: one row per call, message or e-mail of a real execution (action_log_id)
-- reads: dim_executions, stg_flow_action_logs, stg_users
-- refresh: by execution_id
-- note:  the one place that says what attempted, accepted, reached and succeeded mean; every mart counts these columns
-- note:  without test runs and waits
-- column action_log_id: the action log
-- column execution_id: the execution
-- column user_id: the tenant
-- column contact_id: the contact
-- column flow_id: the flow
-- column flow_version: the version of the flow
-- column action_order: the action's place in the flow, from 1
-- column channel: ai_call, whatsapp_message or email
-- column lead_source: where the contact came from; null when nobody said
-- column upload_id: the upload that created the contact; null when none did
-- column action_status: pending, sending, sent, success, failed, skipped or unknown
-- column outcome: the latest that is known of what became of it; null when nothing is
-- column reason: why it failed or was skipped: the provider's code, else the outcome, else the rule; null otherwise
-- column is_attempted: a request was made and answered: accepted, refused, or given up
-- column is_accepted: the provider took the request
-- column is_still_out: accepted, and its outcome is not known yet and within its timeout; in no rate
-- column is_outcome_known: accepted by a provider that tells outcomes, and the outcome is known (an expired one is: not
--        reached; so is that of a message that was delivered and waits to be read); the denominator of reach and success
-- column is_reached: call: answered or voicemail; WhatsApp: delivered or read; e-mail: delivered or opened (a complaint or
--        an opt-out came of a message that arrived); null unless is_outcome_known
-- column is_succeeded: call: answered; WhatsApp and e-mail: reached, and neither complained nor opted out; null unless
--        is_outcome_known
-- column send_date: day of the last send in the tenant's zone: the cohort; null when nothing was sent
-- column send_weekday: weekday of the last send in the tenant's zone, 1 is Monday; null when nothing was sent
-- column send_hour: hour of the last send in the tenant's zone, 0 to 23; null when nothing was sent
-- column sent_at: when the last send began, UTC; null when nothing was sent
-- column cost_cents: what the provider charged, in cents of US dollars; null when it did not say
-- column call_seconds: length of the conversation in seconds; null when there was none
with logs as (
    select
        *,
        coalesce(action_status in ('sent', 'success', 'failed') and executed_at is not null, false) as is_attempted
    from stg_flow_action_logs
    where action_type in ('ai_call', 'whatsapp_message', 'email')
),

-- A final log that tells no more than its acceptance is of a provider without a feed, as SMTP is.
accepted as (
    select
        *,
        is_attempted and accepted_at is not null as is_accepted,
        is_attempted
        and accepted_at is not null
        and coalesce(outcome, 'accepted') <> 'accepted' as is_outcome_known
    from logs
),

reached as (
    select
        *,
        case
            when not is_outcome_known then null
            when action_type = 'ai_call' then outcome in ('answered', 'voicemail', 'complained', 'opted_out')
            when action_type = 'whatsapp_message' then outcome in ('delivered', 'read', 'complained', 'opted_out')
            else outcome in ('delivered', 'opened', 'complained', 'opted_out')
        end as is_reached
    from accepted
),

executions as (
    select
        dim_executions.*,
        stg_users.time_zone
    from dim_executions
    inner join stg_users on dim_executions.user_id = stg_users.user_id
    where not dim_executions.is_test_run
),

actions as (
    select
        reached.*,
        executions.user_id,
        executions.contact_id,
        executions.flow_id,
        executions.flow_version,
        executions.lead_source,
        executions.upload_id,
        reached.executed_at at time zone executions.time_zone as sent_locally_at
    from reached
    inner join executions on reached.execution_id = executions.execution_id
)

select
    actions.action_log_id,
    actions.execution_id,
    actions.user_id,
    actions.contact_id,
    actions.flow_id,
    actions.flow_version,
    actions.action_order,
    actions.action_type as channel,
    actions.lead_source,
    actions.upload_id,
    actions.action_status,
    actions.outcome,
    case
        when actions.action_status = 'skipped' then coalesce(actions.skip_reason, 'unstated')
        when actions.action_status = 'failed' then coalesce(actions.reason_code, actions.outcome, 'unstated')
    end as reason,
    actions.is_attempted,
    actions.is_accepted,
    actions.is_accepted and not actions.is_outcome_known and actions.action_status = 'sent' as is_still_out,
    actions.is_outcome_known,
    actions.is_reached,
    case
        when not actions.is_outcome_known then null
        when actions.action_type = 'ai_call' then actions.is_reached and actions.outcome = 'answered'
        else actions.is_reached and actions.outcome not in ('complained', 'opted_out')
    end as is_succeeded,
    actions.sent_locally_at::date as send_date,
    isodow(actions.sent_locally_at)::tinyint as send_weekday,
    hour(actions.sent_locally_at)::tinyint as send_hour,
    actions.executed_at as sent_at,
    actions.cost_cents,
    actions.call_seconds
from actions
