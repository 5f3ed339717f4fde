-- flow_action_logs
-- grain: one row per action log (id)
-- note:  without request, result_data, error_message, which are free text or say who a contact is, and without
--        provider_message_id, into which some providers encode the recipient's phone number
-- note:  reason_code is the provider's code of a refusal or failure, the first where WhatsApp tells several; taken only
--        when it is a word in lower case or a short number, and so neither a name nor a phone number
select
    id,
    execution_id,
    action_id,
    action_order,
    action_type,
    status,
    due_at,
    attempt_count,
    outcome,
    outcome_at,
    accepted_at,
    cost_cents::float8 as cost_cents,
    call_seconds::float8 as call_seconds,
    substring(coalesce(result_data ->> 'code', result_data #>> '{codes,0}') from '^[a-z_]{1,40}$|^[0-9]{1,6}$')
        as reason_code,
    case when skip_reason ~ '^[a-z_]{1,40}$' then skip_reason end as skip_reason,
    executed_at,
    completed_at,
    created_at
from flow_action_logs
