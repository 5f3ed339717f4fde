-- flow_executions
-- grain: one row per execution (id)
-- note:  without metadata, which is free text
select
    id::text as id,
    flow_id::text as flow_id,
    flow_version,
    user_id::text as user_id,
    contact_id::text as contact_id,
    micro_batch_id::text as micro_batch_id,
    status,
    triggered_at,
    completed_at,
    updated_at,
    is_test_run
from flow_executions
