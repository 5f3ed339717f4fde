-- due_events: stored events whose time has come, in the order in which they arrived, with their account and tenant
select
    events.id,
    events.account_id,
    accounts.user_id,
    accounts.channel,
    accounts.provider,
    events.body,
    events.received_at
from provider_events as events
inner join channel_accounts as accounts on events.account_id = accounts.id
where events.due_at <= %(now)s
order by events.due_at, events.id
limit %(limit)s
