-- list_batches: micro-batches with their state, the oldest first: one by id, or those that are not done
-- A tenant sees those that hold a contact or an action of its own.
select
    id,
    kind,
    status,
    item_count,
    attempt,
    formed_at
from micro_batches
where
    (%(batch_id)s::uuid is null or id = %(batch_id)s)
    and (%(batch_id)s::uuid is not null or status <> 'done')
    and (
        %(user_id)s::uuid is null
        or exists (
            select 1 from contacts where contacts.micro_batch_id = micro_batches.id and contacts.user_id = %(user_id)s
        )
        or exists (
            select 1
            from flow_action_logs as logs
            where logs.micro_batch_id = micro_batches.id and logs.user_id = %(user_id)s
        )
    )
order by id
