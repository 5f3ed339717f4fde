-- execution_timeline
-- grain: one row per action of an execution, waits and test runs too (action_log_id)
-- reads: dim_executions, fct_actions, stg_flow_action_logs, stg_flow_assignments, stg_lead_uploads
-- refresh: view
-- note:  the way of one action from its upload to its outcome, for audits; ask it for one contact, flow or day
-- column action_log_id: the action log
-- column user_id: the tenant
-- column contact_id: the contact
-- column execution_id: the execution
-- column flow_id: the flow
-- column flow_version: the version of the flow
-- column action_order: the action's place in the flow, from 1
-- column action_type: ai_call, whatsapp_message, email or wait
-- column is_test_run: whether the execution only simulated
-- column upload_id: the upload that created the contact; null when none did
-- column uploaded_at: when that file was noticed, UTC
-- column contact_created_at: when the contact was loaded, UTC
-- column assigned_at: when matching gave it the flow, UTC
-- column triggered_at: when the execution started, UTC
-- column created_at: when the action became the next one, UTC
-- column attempt_count: sends begun
-- column sent_at: when the last send began, UTC; null when nothing was sent
-- column accepted_at: when the provider took the request, UTC; null when it did not
-- column outcome: the latest that is known of what became of it; null when nothing is
-- column outcome_at: when that happened, by the provider's clock, UTC
-- column completed_at: when it became final, UTC; null while it is open
-- column due_at: when the ledger looks at it next, UTC; null once it is final
-- column action_status: pending, sending, sent, success, failed, skipped or unknown
-- column execution_status: pending, running, completed, failed, cancelled or skipped
-- column reason: why it failed or was skipped; null otherwise, and for waits and test runs
-- column is_reached: see fct_actions; null when it is not known
-- column is_succeeded: see fct_actions; null when it is not known
-- column cost_cents: what the provider charged, in cents of US dollars; null when it did not say
-- column call_seconds: length of the conversation in seconds; null when there was none
select
    logs.action_log_id,
    executions.user_id,
    executions.contact_id,
    executions.execution_id,
    executions.flow_id,
    executions.flow_version,
    logs.action_order,
    logs.action_type,
    executions.is_test_run,
    executions.upload_id,
    uploads.uploaded_at,
    executions.contact_created_at,
    assignments.assigned_at,
    executions.triggered_at,
    logs.created_at,
    logs.attempt_count,
    logs.executed_at as sent_at,
    logs.accepted_at,
    logs.outcome,
    logs.outcome_at,
    logs.completed_at,
    logs.due_at,
    logs.action_status,
    executions.execution_status,
    actions.reason,
    actions.is_reached,
    actions.is_succeeded,
    logs.cost_cents,
    logs.call_seconds
from stg_flow_action_logs as logs
inner join dim_executions as executions on logs.execution_id = executions.execution_id
left join fct_actions as actions on logs.action_log_id = actions.action_log_id
left join stg_lead_uploads as uploads on executions.upload_id = uploads.upload_id
left join stg_flow_assignments as assignments
    on executions.contact_id = assignments.contact_id and executions.micro_batch_id = assignments.micro_batch_id
