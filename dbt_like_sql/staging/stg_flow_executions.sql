-- stg_flow_executions
-- grain: one row per execution, a contact's walk through a flow (execution_id)
-- reads: raw.flow_executions
-- column execution_id: the execution
-- column flow_id: the flow it walks
-- column flow_version: the version of the flow that it walks
-- column user_id: the tenant
-- column contact_id: the contact
-- column micro_batch_id: the micro-batch that started it
-- column execution_status: pending, running, completed, failed, cancelled or skipped
-- column triggered_at: when it started, UTC
-- column completed_at: when it ended, UTC; null while it is open
-- column is_test_run: whether it only simulated, with nothing sent
with executions as (
    select
        id,
        flow_id,
        flow_version,
        user_id,
        contact_id,
        micro_batch_id,
        status,
        triggered_at,
        completed_at,
        is_test_run
    from raw.flow_executions
)

select
    executions.id as execution_id,
    executions.flow_id,
    executions.flow_version,
    executions.user_id,
    executions.contact_id,
    executions.micro_batch_id,
    executions.status as execution_status,
    executions.triggered_at,
    executions.completed_at,
    executions.is_test_run
from executions
