-- overdue_outcomes: accepted requests whose outcome should have come by webhook, and when they were last asked about
-- Asked about after %(first)s seconds, and then each time that they are twice as old; marked as asked here, so that two
-- ticks never ask about the same one.
with due as (
    select logs.id
    from flow_action_logs as logs
    where
        logs.status = 'sent'
        and logs.action_type = any(%(channels)s::text[])
        and logs.provider_message_id is not null
        and logs.accepted_at <= %(now)s - make_interval(secs => %(first)s)
        and (
            logs.outcome_asked_at is null
            or logs.outcome_asked_at - logs.accepted_at <= (%(now)s - logs.accepted_at) / 2
        )
    order by logs.accepted_at
    limit %(limit)s
    for update skip locked
)

update flow_action_logs as logs
set outcome_asked_at = %(now)s
from due
where logs.id = due.id
returning logs.id, logs.action_type, logs.request, logs.provider_message_id
