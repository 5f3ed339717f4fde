-- close_unknown: unknown -> failed for the logs of one batch that nobody could resolve in time
update flow_action_logs
set
    status = 'failed',
    error_message = 'expired: nobody learned what became of it',
    result_data = result_data || '{"outcome": "expired"}',
    due_at = null,
    completed_at = %(now)s,
    micro_batch_id = null,
    updated_at = now()
where micro_batch_id = %(micro_batch_id)s and status = 'unknown' and due_at <= %(now)s
returning execution_id
