-- select_lost_logs: logs of one batch whose request went out and whose answer never came, past the time to ask about them
-- is_stopped: since then the contact said no, the execution ended or the flow was stopped, so nothing may be sent again.
select
    logs.id as action_log_id,
    logs.execution_id,
    logs.request,
    logs.executed_at,
    logs.attempt_count,
    contacts.is_dnc
    or executions.status not in ('pending', 'running')
    or not flows.is_enabled
    or exists (
        select 1
        from suppressions
        where
            suppressions.user_id = contacts.user_id
            and suppressions.channel = logs.action_type
            and suppressions.address in (contacts.phone_e164, contacts.email)
    ) as is_stopped,
    executions.is_test_run
from flow_action_logs as logs
inner join flow_executions as executions on logs.execution_id = executions.id
inner join auto_engagement_flows as flows on executions.flow_id = flows.id
inner join contacts on executions.contact_id = contacts.id
where
    logs.micro_batch_id = %(micro_batch_id)s
    and logs.action_type = %(action_type)s
    and logs.status = 'sending'
    and logs.due_at <= %(now)s
order by logs.due_at, logs.id
limit %(chunk_size)s
for update of logs
