-- clear_logs: old final action logs forget the request and what was said; status and outcome stay
-- writes: flow_action_logs
update flow_action_logs
set
    request = null,
    result_data = result_data - array(
        select key from jsonb_object_keys(result_data) as keys (key) where key <> 'code'
    ),
    error_message = null,
    updated_at = now()
where
    due_at is null
    and completed_at < %(before)s
    and (request is not null or error_message is not null or result_data - 'code' <> '{}')
