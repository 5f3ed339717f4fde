-- second_arrival: what of a contact's history decides whether it may enter a flow again; the same as in insert_assignments
-- Without a flow, last_entered_at is null. Test runs count neither as open nor as entered.
select
    exists (
        select 1
        from flow_executions as executions
        where
            executions.contact_id = %(contact_id)s::uuid
            and not executions.is_test_run
            and executions.status in ('pending', 'running')
    )
    or exists (
        select 1
        from flow_assignments as assignments
        where
            assignments.contact_id = %(contact_id)s::uuid
            and assignments.reason = 'matched'
            and not exists (
                select 1
                from flow_executions as executions
                where
                    executions.contact_id = assignments.contact_id
                    and executions.micro_batch_id = assignments.micro_batch_id
            )
    ) as is_engaged,
    (
        select max(executions.triggered_at)
        from flow_executions as executions
        where
            executions.contact_id = %(contact_id)s::uuid
            and executions.flow_id = %(flow_id)s::uuid
            and not executions.is_test_run
    ) as last_entered_at
