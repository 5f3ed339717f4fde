-- stg_flow_executions
-- grain: one row per execution, a contact's walk through a flow (execution_id)
-- reads: raw.flow_executions
-- refresh: view
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
select
    flow_executions.id as execution_id,
    flow_executions.flow_id,
    flow_executions.flow_version,
    flow_executions.user_id,
    flow_executions.contact_id,
    flow_executions.micro_batch_id,
    flow_executions.status as execution_status,
    flow_executions.triggered_at,
    flow_executions.completed_at,
    flow_executions.is_test_run
from raw.flow_executions as flow_executions
