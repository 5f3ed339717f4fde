-- update_contacts: known contacts take what a lead file added or changed; they are not new again
-- reads: changed_contacts, writes: contacts
update contacts
set
    source_system = changed.source_system,
    external_id = changed.external_id,
    phone_e164 = changed.phone_e164,
    email = changed.email,
    first_name = changed.first_name,
    last_name = changed.last_name,
    company = changed.company,
    lead_source = changed.lead_source,
    tags = changed.tags,
    custom_fields = changed.custom_fields,
    suppressed_channels = changed.suppressed_channels,
    updated_at = %(now)s
from changed_contacts as changed
where contacts.id = changed.id
