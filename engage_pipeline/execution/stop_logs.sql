-- stop_logs: pending -> skipped, each with its reason
update flow_action_logs as logs
set
    status = 'skipped',
    skip_reason = stops.reason,
    error_message = coalesce(stops.words, logs.error_message),
    is_parked = false,
    due_at = null,
    completed_at = %(now)s,
    micro_batch_id = null,
    updated_at = now()
from unnest(%(action_log_ids)s::uuid[], %(reasons)s::text[], %(words)s::text[]) as stops (action_log_id, reason, words)
where logs.id = stops.action_log_id and logs.status = 'pending'
