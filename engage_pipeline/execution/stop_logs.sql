-- stop_logs: pending -> skipped with its reason; or unknown, where an earlier attempt may have arrived: that was no skip
update flow_action_logs as logs
set
    status = case when logs.result_data ? 'may_have_arrived' then 'unknown' else 'skipped' end,
    skip_reason = case when not logs.result_data ? 'may_have_arrived' then stops.reason end,
    due_at = case when logs.result_data ? 'may_have_arrived' then %(unknown_until)s::timestamptz end,
    completed_at = case when not logs.result_data ? 'may_have_arrived' then %(now)s::timestamptz end,
    micro_batch_id = null,
    updated_at = now()
from unnest(%(action_log_ids)s::uuid[], %(reasons)s::text[]) as stops (action_log_id, reason)
where logs.id = stops.action_log_id and logs.status = 'pending'
