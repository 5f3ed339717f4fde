-- simulated_contacts: what matching and a walk read of one tenant's contacts: those of the last days, or those that a
-- load has just made new; the oldest first, ids as text
select
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
    contacts.email,
    contacts.time_zones
from contacts
left join suppressions as ai_call
    on contacts.user_id = ai_call.user_id and ai_call.channel = 'ai_call' and contacts.phone_e164 = ai_call.address
left join suppressions as whatsapp_message
    on contacts.user_id = whatsapp_message.user_id
    and whatsapp_message.channel = 'whatsapp_message'
    and contacts.phone_e164 = whatsapp_message.address
left join suppressions as email
    on contacts.user_id = email.user_id and email.channel = 'email' and contacts.email = email.address
where
    contacts.user_id = %(user_id)s
    and (%(since)s::timestamptz is null or contacts.created_at >= %(since)s)
    and (
        %(arrived_at)s::timestamptz is null
        or (contacts.updated_at = %(arrived_at)s and contacts.micro_batch_id is null)
    )
order by contacts.created_at, contacts.id
