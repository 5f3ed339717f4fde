-- opt_out_contacts: the contacts of these action logs say no to the log's channel; gives the address that was used
with opted_out as (
    select
        logs.id as action_log_id,
        logs.action_type as channel,
        executions.contact_id
    from flow_action_logs as logs
    inner join flow_executions as executions on logs.execution_id = executions.id
    where logs.id = any(%(action_log_ids)s::uuid[])
),

wishes as (
    select
        contact_id,
        array_agg(distinct channel) as channels
    from opted_out
    group by contact_id
),

changed as (
    update contacts
    set
        suppressed_channels = (
            select array_agg(distinct channel)
            from unnest(contacts.suppressed_channels || wishes.channels) as said_no (channel)
        ),
        updated_at = now()
    from wishes
    where contacts.id = wishes.contact_id and not contacts.suppressed_channels @> wishes.channels
)

select
    opted_out.action_log_id,
    contacts.user_id,
    opted_out.channel,
    case when opted_out.channel = 'email' then contacts.email else contacts.phone_e164 end as address
from opted_out
inner join contacts on opted_out.contact_id = contacts.id
