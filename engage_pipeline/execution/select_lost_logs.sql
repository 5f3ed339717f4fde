-- select_lost_logs: logs of one batch whose request went out and whose answer never came, past the time to ask about them
select
    id as action_log_id,
    execution_id,
    request,
    executed_at,
    attempt_count,
    result_data ? 'may_have_arrived' as may_have_arrived
from flow_action_logs
where
    micro_batch_id = %(micro_batch_id)s
    and action_type = %(action_type)s
    and status = 'sending'
    and due_at <= %(now)s
order by due_at, id
limit %(chunk_size)s
for update
