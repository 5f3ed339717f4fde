-- flow_executions
-- grain: one row per execution (id)
-- note:  without metadata, which is free text
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
from flow_executions
