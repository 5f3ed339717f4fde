-- close_expired: sent, unknown -> failed for the logs of one batch whose outcome nobody learned in time
-- sent -> success for what was delivered and waited to be read.
update flow_action_logs
set
    status = case when outcome = 'delivered' then 'success' else 'failed' end,
    outcome = case when outcome = 'delivered' then outcome else 'expired' end,
    outcome_at = case when outcome = 'delivered' then outcome_at else %(now)s end,
    error_message = case when outcome = 'delivered' then null else 'expired: nobody learned what became of it' end,
    due_at = null,
    completed_at = %(now)s,
    micro_batch_id = null,
    updated_at = now()
where micro_batch_id = %(micro_batch_id)s and status in ('sent', 'unknown') and due_at <= %(now)s
returning execution_id
