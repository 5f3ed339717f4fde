-- record_answers: sending -> success | failed | unknown, or back to pending (nothing was sent) or sending (ask again later)
-- A final status has no due_at; the log leaves its batch in every case.
update flow_action_logs as logs
set
    status = answers.status,
    provider_message_id = answers.provider_message_id,
    error_message = answers.error_message,
    result_data = logs.result_data || answers.result_data,
    due_at = answers.due_at,
    completed_at = case when answers.due_at is null then %(now)s end,
    micro_batch_id = null,
    updated_at = now()
from unnest(
    %(action_log_ids)s::uuid[],
    %(statuses)s::text[],
    %(provider_message_ids)s::text[],
    %(error_messages)s::text[],
    %(results)s::jsonb[],
    %(due_ats)s::timestamptz[]
) as answers (action_log_id, status, provider_message_id, error_message, result_data, due_at)
where logs.id = answers.action_log_id and logs.status = 'sending'
