-- stg_flow_action_logs
-- grain: one row per action of an execution (action_log_id)
-- reads: raw.flow_action_logs
-- refresh: view
-- column action_log_id: the action log
-- column execution_id: the execution it belongs to
-- column action_id: the action it carries out; null when the flow was edited since
-- column action_order: the action's place in the flow, from 1
-- column action_type: ai_call, whatsapp_message, email or wait
-- column action_status: pending, sending, sent, success, failed, skipped or unknown
-- column attempt_count: sends begun
-- column due_at: when the ledger looks at it next, UTC; null once it is final
-- column outcome: the latest that is known of what became of it; null when nothing is
-- column outcome_at: when that happened, by the provider's clock, UTC
-- column accepted_at: when the provider took the request, UTC; null when it did not
-- column cost_cents: what the provider charged, in cents of US dollars; null when it did not say
-- column call_seconds: length of the conversation in seconds; null when there was none
-- column reason_code: the provider's code of a refusal or failure; null when it gave none
-- column skip_reason: why it was skipped; null unless it was
-- column executed_at: when its last send began, UTC
-- column completed_at: when it became final, UTC
-- column created_at: when the log was written, UTC
select
    flow_action_logs.id as action_log_id,
    flow_action_logs.execution_id,
    flow_action_logs.action_id,
    flow_action_logs.action_order,
    flow_action_logs.action_type,
    flow_action_logs.status as action_status,
    flow_action_logs.attempt_count,
    flow_action_logs.due_at,
    flow_action_logs.outcome,
    flow_action_logs.outcome_at,
    flow_action_logs.accepted_at,
    flow_action_logs.cost_cents::decimal(18, 4) as cost_cents,
    flow_action_logs.call_seconds::decimal(18, 3) as call_seconds,
    flow_action_logs.reason_code,
    flow_action_logs.skip_reason,
    flow_action_logs.executed_at,
    flow_action_logs.completed_at,
    flow_action_logs.created_at
from raw.flow_action_logs as flow_action_logs
