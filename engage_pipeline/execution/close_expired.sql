-- close_expired: sent, unknown -> failed for the logs of one batch whose outcome nobody learned in time
update flow_action_logs
set
    status = 'failed',
    outcome = 'expired',
    outcome_at = %(now)s,
    error_message = 'expired: nobody learned what became of it',
    due_at = null,
    completed_at = %(now)s,
    micro_batch_id = null,
    updated_at = now()
where micro_batch_id = %(micro_batch_id)s and status in ('sent', 'unknown') and due_at <= %(now)s
returning execution_id
