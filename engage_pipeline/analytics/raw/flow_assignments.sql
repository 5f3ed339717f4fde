-- flow_assignments
-- grain: one row per contact and micro-batch (contact_id, micro_batch_id)
select
    contact_id,
    micro_batch_id,
    user_id,
    flow_id,
    flow_version,
    reason,
    assigned_at
from flow_assignments
