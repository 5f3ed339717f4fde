-- record_answers: sending -> sent | success | failed | unknown, back to pending (nothing was sent), or still sending (to be asked
-- about). A final status has no due_at; the log leaves its batch in every case. What was put off in an execution that was
-- cancelled meanwhile is skipped: nobody will send it. Executions are locked before their logs, as in select_due_logs.
-- Of them only the ended ones are looked at again: a join with all would compare each with each.
-- `is true` keeps the status from serving as a way in: the index of what is in flight is full of dead entries meanwhile.
with held as (
    select
        id,
        status in ('pending', 'running') as is_open
    from flow_executions
    where id = any(%(execution_ids)b::uuid[])
    order by id
    for no key update
),

ended as materialized (
    select coalesce(array_agg(id) filter (where not is_open), '{}') as ids
    from held
),

answers as (
    select
        given.action_log_id,
        case when is_moot then 'skipped' else given.status end as status,
        case when is_moot then 'cancelled' end as skip_reason,
        case when not is_moot then given.due_at end as due_at,
        given.provider_message_id,
        given.outcome,
        given.error_message,
        given.result_data
    from unnest(
        %(action_log_ids)b::uuid[],
        %(execution_ids)b::uuid[],
        %(statuses)b::text[],
        %(provider_message_ids)b::text[],
        %(outcomes)b::text[],
        %(error_messages)b::text[],
        %(results)b::jsonb[],
        %(due_ats)s::timestamptz[]
    ) as given (
        action_log_id, execution_id, status, provider_message_id, outcome, error_message, result_data, due_at
    )
    cross join ended
    cross join lateral (select given.status = 'pending' and given.execution_id = any(ended.ids) as is_moot) as verdicts
)

update flow_action_logs as logs
set
    status = answers.status,
    skip_reason = answers.skip_reason,
    provider_message_id = answers.provider_message_id,
    outcome = answers.outcome,
    outcome_at = case when answers.outcome is not null then %(now)s end,
    accepted_at = case when answers.outcome = 'accepted' then %(now)s end,
    error_message = answers.error_message,
    result_data = logs.result_data || answers.result_data,
    due_at = case
        when answers.status = 'sent' then %(now)s + make_interval(mins => logs.outcome_timeout_minutes)
        else answers.due_at
    end,
    completed_at = case when answers.due_at is null and answers.status <> 'sent' then %(now)s end,
    attempts = logs.attempts || jsonb_strip_nulls(jsonb_build_object(
        'attempt', logs.attempt_count,
        'began_at', logs.executed_at,
        'answered_at', %(now)s::timestamptz,
        'answer', answers.status,
        'reason', answers.error_message
    )),
    micro_batch_id = null,
    updated_at = now()
from answers
where logs.id = answers.action_log_id and (logs.status = 'sending') is true
returning logs.status
