-- progress: one row of counts: what is there, what is open, and what is due before %(soon)s
select
    (select count(*) from contacts),
    (select count(*) from flow_assignments),
    (select count(*) from flow_assignments where reason = 'matched'),
    (select count(*) from flow_executions where status in ('pending', 'running')),
    (select count(*) from flow_executions where status not in ('pending', 'running')),
    (select count(*) from lead_uploads where status in ('waiting', 'running')),
    (select count(*) from contacts where micro_batch_id is null),
    (select count(*) from micro_batches where status in ('waiting', 'running')),
    (
        select count(*)
        from flow_action_logs as logs
        inner join flow_executions as executions on logs.execution_id = executions.id
        inner join auto_engagement_flows as flows on executions.flow_id = flows.id
        where
            logs.due_at < %(soon)s
            and (
                logs.status = 'sending'
                or (
                    logs.status = 'pending'
                    and executions.status in ('pending', 'running')
                    and flows.is_enabled
                )
            )
    ),
    (
        select count(*)
        from flow_action_logs
        where status = 'sent' and accepted_at > %(recently)s
    ),
    (select count(*) from provider_events where due_at < %(soon)s),
    greatest(
        (select max(finished_at) from micro_batches),
        (select max(applied_at) from provider_events)
    )
