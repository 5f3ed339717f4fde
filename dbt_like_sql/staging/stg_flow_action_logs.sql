-- stg_flow_action_logs
-- grain: one row per action of an execution (action_log_id)
-- reads: raw.flow_action_logs
-- column action_log_id: the action log
-- column execution_id: the execution it belongs to
-- column action_id: the action it carries out; null when the flow was edited since
-- column action_order: the action's place in the flow, from 1
-- column action_type: ai_call, whatsapp_message, email or wait
-- column action_status: pending, sending, sent, success, failed, skipped or unknown
-- column attempt_count: sends begun
-- column due_at: when the ledger looks at it next, UTC; null once it is final
-- column executed_at: when its last send began, UTC
-- column completed_at: when it became final, UTC
-- column created_at: when the log was written, UTC
with logs as (
    select
        id,
        execution_id,
        action_id,
        action_order,
        action_type,
        status,
        attempt_count,
        due_at,
        executed_at,
        completed_at,
        created_at
    from raw.flow_action_logs
)

select
    logs.id as action_log_id,
    logs.execution_id,
    logs.action_id,
    logs.action_order,
    logs.action_type,
    logs.status as action_status,
    logs.attempt_count,
    logs.due_at,
    logs.executed_at,
    logs.completed_at,
    logs.created_at
from logs
