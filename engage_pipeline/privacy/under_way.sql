-- under_way: why a contact cannot be forgotten at this moment; no row when it can
select 'a call or message to it is being sent, and its answer would bring data back' as why
from flow_action_logs as logs
inner join flow_executions as executions on logs.execution_id = executions.id
where
    executions.contact_id = %(contact_id)s
    and logs.status = 'sending'
    and logs.executed_at > %(sent_after)s
union all
select 'an upload of the tenant is being loaded, and may bring data back'
from lead_uploads
where user_id = %(user_id)s and status = 'running'
union all
select 'a provider has just told something of it, which is not applied yet'
from provider_events as events
inner join channel_accounts as accounts on events.account_id = accounts.id
where
    accounts.user_id = %(user_id)s
    and events.due_at is not null
    and exists (
        select 1
        from unnest(%(needles)s::text[]) as needles (needle)
        where position(needle in lower(events.body)) > 0
    )
limit 1
