-- contact_to_explain: what matching reads of one contact and what it was assigned last, found by its id, phone number or e-mail address (newest first)
-- One contact of each tenant that has it; a person may be a contact of several.
select distinct on (contacts.user_id)
    contacts.id::text as contact_id,
    contacts.user_id::text as user_id,
    contacts.lead_source,
    contacts.entry_type,
    to_json(contacts.tags)::text as tags,
    split_part(contacts.email, '@', -1) as email_domain,
    contacts.phone_e164,
    contacts.created_at,
    contacts.custom_fields::text as custom_fields,
    contacts.is_dnc,
    contacts.phone_e164 is not null as can_ai_call_address,
    contacts.phone_e164 is not null as can_whatsapp_message_address,
    contacts.email is not null as can_email_address,
    contacts.phone_e164 is not null and ai_call.address is null as can_ai_call,
    contacts.phone_e164 is not null and whatsapp_message.address is null as can_whatsapp_message,
    contacts.email is not null and email.address is null as can_email,
    assigned.flow_name as assigned_flow_name,
    assigned.flow_version as assigned_flow_version,
    assigned.reason as assigned_reason,
    assigned.assigned_at
from contacts
left join suppressions as ai_call
    on contacts.user_id = ai_call.user_id and ai_call.channel = 'ai_call' and contacts.phone_e164 = ai_call.address
left join suppressions as whatsapp_message
    on contacts.user_id = whatsapp_message.user_id
    and whatsapp_message.channel = 'whatsapp_message'
    and contacts.phone_e164 = whatsapp_message.address
left join suppressions as email
    on contacts.user_id = email.user_id and email.channel = 'email' and contacts.email = email.address
left join lateral (
    select
        flows.name as flow_name,
        assignments.flow_version,
        assignments.reason,
        assignments.assigned_at
    from flow_assignments as assignments
    left join auto_engagement_flows as flows on assignments.flow_id = flows.id
    where assignments.contact_id = contacts.id
    order by assignments.assigned_at desc
    limit 1
) as assigned on true
where contacts.id::text = $1 or contacts.phone_e164 = $1 or contacts.email = lower($1)
order by contacts.user_id, contacts.created_at desc, contacts.id desc
