-- contact_to_explain: what matching reads of one contact, found by its id, phone number or e-mail address (newest first)
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
    contacts.is_dnc
from contacts
where contacts.id::text = $1 or contacts.phone_e164 = $1 or contacts.email = lower($1)
order by contacts.user_id, contacts.created_at desc, contacts.id desc
