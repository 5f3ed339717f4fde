-- stg_flow_assignments
-- grain: one row per contact and micro-batch (contact_id, micro_batch_id)
-- reads: raw.flow_assignments
-- refresh: view
-- column contact_id: the contact
-- column micro_batch_id: the micro-batch that matched it
-- column user_id: the tenant
-- column flow_id: the flow that won, also where its channels could not reach the contact; null when none did
-- column flow_version: the version of that flow
-- column assignment_reason: matched, or why it got no flow
-- column assigned_at: when it was matched, UTC
select
    flow_assignments.contact_id,
    flow_assignments.micro_batch_id,
    flow_assignments.user_id,
    flow_assignments.flow_id,
    flow_assignments.flow_version,
    flow_assignments.reason as assignment_reason,
    flow_assignments.assigned_at
from raw.flow_assignments as flow_assignments
