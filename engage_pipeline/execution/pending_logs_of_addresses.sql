-- pending_logs_of_addresses: pending logs on one channel of the contacts with one address, for each (user, channel, address)
-- Executions are locked before their logs and in the order of their ids, as in select_due_logs.
with given as (
    select user_id, channel, address
    from unnest(%(user_ids)s::uuid[], %(channels)s::text[], %(addresses)s::text[]) as wish (user_id, channel, address)
),

concerned as (
    select
        contacts.id as contact_id,
        given.channel
    from given
    inner join contacts
        on given.user_id = contacts.user_id
        and given.address = contacts.phone_e164
    where given.channel <> 'email'
    union
    select
        contacts.id as contact_id,
        given.channel
    from given
    inner join contacts
        on given.user_id = contacts.user_id
        and given.address = contacts.email
    where given.channel = 'email'
),

held as (
    select
        id,
        contact_id
    from flow_executions
    where contact_id in (select contact_id from concerned) and status in ('pending', 'running')
    order by id
    for no key update
)

select
    logs.id as action_log_id,
    logs.execution_id
from held
inner join concerned on held.contact_id = concerned.contact_id
inner join flow_action_logs as logs
    on held.id = logs.execution_id
    and concerned.channel = logs.action_type
where logs.status = 'pending'
for update of logs
