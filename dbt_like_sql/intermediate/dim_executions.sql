-- dim_executions
-- grain: one row per execution, test runs too (execution_id)
-- reads: stg_contacts, stg_flow_executions
-- refresh: by contact_id
-- column execution_id: the execution
-- column user_id: the tenant
-- column contact_id: the contact
-- column flow_id: the flow it walks
-- column flow_version: the version of the flow that it walks
-- column micro_batch_id: the micro-batch that started it
-- column upload_id: the upload that created the contact; null when none did
-- column lead_source: where the contact came from; null when nobody said
-- column execution_status: pending, running, completed, failed, cancelled or skipped
-- column is_test_run: whether it only simulated, with nothing sent
-- column contact_created_at: when the contact was first loaded, UTC
-- column triggered_at: when the execution started, UTC
-- column completed_at: when it ended, UTC; null while it is open
select
    executions.execution_id,
    executions.user_id,
    executions.contact_id,
    executions.flow_id,
    executions.flow_version,
    executions.micro_batch_id,
    contacts.upload_id,
    contacts.lead_source,
    executions.execution_status,
    executions.is_test_run,
    contacts.created_at as contact_created_at,
    executions.triggered_at,
    executions.completed_at
from stg_flow_executions as executions
inner join stg_contacts as contacts on executions.contact_id = contacts.contact_id
