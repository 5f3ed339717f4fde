-- flow_action_logs
-- grain: one row per action log (id)
-- note:  without request, result_data, error_message and skip_reason, which are free text, and without
--        provider_message_id, into which some providers encode the recipient's phone number
select
    id::text as id,
    execution_id::text as execution_id,
    action_id::text as action_id,
    action_order,
    action_type,
    status,
    due_at,
    micro_batch_id::text as micro_batch_id,
    attempt_count,
    executed_at,
    completed_at,
    created_at,
    updated_at
from flow_action_logs
