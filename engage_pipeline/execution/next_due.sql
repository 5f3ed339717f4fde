-- next_due: seconds until the next action log that no batch holds is due; null when none is to come
-- The index is by tenant, so each tenant's next one is looked up in it.
with recursive tenants as (
    (
        select user_id
        from flow_action_logs
        where due_at is not null and micro_batch_id is null and not is_parked
        order by user_id
        limit 1
    )
    union all
    select following.user_id
    from tenants
    cross join lateral (
        select user_id
        from flow_action_logs
        where due_at is not null and micro_batch_id is null and not is_parked and user_id > tenants.user_id
        order by user_id
        limit 1
    ) as following
)

select extract(epoch from min(coming.due_at) - clock_timestamp())::float8
from tenants
cross join lateral (
    select due_at
    from flow_action_logs
    where
        user_id = tenants.user_id
        and micro_batch_id is null
        and not is_parked
        and due_at > clock_timestamp()
    order by due_at
    limit 1
) as coming
