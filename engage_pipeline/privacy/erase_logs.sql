-- erase_logs: what was sent to a contact and what came of it, as far as it can say something of anybody; the facts stay
-- sending -> unknown: whoever asks a provider about a request has to know the request
-- writes: flow_action_logs
update flow_action_logs as logs
set
    status = case when logs.status = 'sending' then 'unknown' else logs.status end,
    due_at = case when logs.status = 'sending' then %(now)s + interval '7 days' else logs.due_at end,
    micro_batch_id = case when logs.status = 'sending' then null else logs.micro_batch_id end,
    request = null,
    result_data = logs.result_data - array(
        select key from jsonb_object_keys(logs.result_data) as keys (key) where key <> 'code'
    ),
    error_message = null,
    updated_at = now()
from flow_executions as executions
where logs.execution_id = executions.id and executions.contact_id = %(contact_id)s
