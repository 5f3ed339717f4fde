-- insert_account: an active account with its budget; where the channel has an active one already, that one is given
with added as (
    insert into channel_accounts (user_id, channel, provider, mode, credentials, settings, webhook_token_sha256)
    values (
        %(user_id)s,
        %(channel)s,
        %(provider)s,
        %(mode)s,
        %(credentials)s,
        %(settings)s,
        %(webhook_token_sha256)s
    )
    on conflict (user_id, channel) where is_active do nothing
    returning id
),

budget as (
    insert into channel_budgets (account_id, requests_per_second, in_flight_cap, stated_in_flight_cap, daily_cap)
    select
        added.id,
        %(requests_per_second)s::numeric,
        %(in_flight_cap)s::int,
        %(stated_in_flight_cap)s::int,
        %(daily_cap)s::int
    from added
)

select id from added
union all
select id
from channel_accounts
where user_id = %(user_id)s and channel = %(channel)s and is_active
limit 1
