-- find_logs: the action logs of one execution, in the order of its actions
select
    id as action_log_id,
    action_order,
    action_type,
    status,
    outcome,
    skip_reason,
    due_at,
    executed_at,
    completed_at,
    attempt_count,
    attempts,
    provider_message_id,
    error_message,
    cost_cents::float8 as cost_cents,
    call_seconds::float8 as call_seconds,
    case when %(with_results)s then result_data end as result_data,
    action_id
from flow_action_logs
where execution_id = %(execution_id)s
order by action_order
