-- contact_to_forget: one contact with its tenant, locked
select
    contacts.id as contact_id,
    contacts.user_id,
    users.name as tenant_name,
    users.default_phone_region,
    contacts.source_system,
    contacts.external_id,
    contacts.phone_e164,
    contacts.email,
    contacts.custom_fields
from contacts
inner join users on contacts.user_id = users.id
where contacts.id = %(contact_id)s
for update of contacts
