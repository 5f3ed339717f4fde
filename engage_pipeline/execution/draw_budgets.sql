-- draw_budgets: the tenants that a batch has something due for, and how many requests the account of each may be given now,
-- with its budget locked until the claim commits; a tenant without an account has no limit
-- An account's requests have moments to begin at, one after another at its rate; those up to next_free_at are promised. What
-- fits in before the horizon may be claimed, less what the day's cap and the requests in flight leave. In flight is accepted
-- and not terminal. Budgets are locked in the order of their ids.
-- The tenants are looked up one after another in the index, whatever the size of the batch.
with recursive tenants as (
    (
        select user_id
        from flow_action_logs
        where micro_batch_id = %(micro_batch_id)s and action_type = %(action_type)s
        order by user_id
        limit 1
    )
    union all
    select following.user_id
    from tenants
    cross join lateral (
        select user_id
        from flow_action_logs
        where
            micro_batch_id = %(micro_batch_id)s
            and action_type = %(action_type)s
            and user_id > tenants.user_id
        order by user_id
        limit 1
    ) as following
),

concerned as (
    select tenants.user_id
    from tenants
    where
        exists (
            select 1
            from flow_action_logs as logs
            where
                logs.micro_batch_id = %(micro_batch_id)s
                and logs.action_type = %(action_type)s
                and logs.user_id = tenants.user_id
                and logs.status = 'pending'
                and logs.due_at <= %(now)s
        )
),

held as (
    select
        budgets.*,
        accounts.user_id,
        least(budgets.in_flight_cap, budgets.stated_in_flight_cap) as cap
    from channel_budgets as budgets
    inner join channel_accounts as accounts on budgets.account_id = accounts.id
    where
        accounts.channel = %(action_type)s
        and accounts.is_active
        and accounts.user_id in (select concerned.user_id from concerned)
    order by budgets.account_id
    for no key update of budgets
)

select
    concerned.user_id,
    held.account_id,
    (1 / (held.requests_per_second * held.pace))::float8 as seconds_apart,
    greatest(extract(epoch from held.next_free_at - %(now)s), 0)::float8 as first_after_seconds,
    greatest(
        0,
        least(
            %(chunk_size)s,
            floor(
                (%(horizon_seconds)s - greatest(extract(epoch from held.next_free_at - %(now)s), 0))
                * held.requests_per_second
                * held.pace
            ),
            held.daily_cap - case when held.day = (%(now)s at time zone 'UTC')::date then held.day_count else 0 end,
            held.cap - case
                when held.cap is null then 0
                else (
                    select count(*)
                    from flow_action_logs as logs
                    where
                        logs.user_id = held.user_id
                        and logs.action_type = %(action_type)s
                        and logs.status in ('sending', 'sent')
                )
            end,
            case when held.held_until > %(now)s then 0 end
        )
    )::int as allowed
from concerned
left join held on concerned.user_id = held.user_id
