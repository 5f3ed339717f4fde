-- update_contacts: known contacts take what a lead file added or changed; they are not new again
-- reads: merged_contacts, writes: contacts
update contacts
set
    source_system = merged.source_system,
    external_id = merged.external_id,
    phone_e164 = merged.phone_e164,
    email = merged.email,
    first_name = merged.first_name,
    last_name = merged.last_name,
    company = merged.company,
    lead_source = merged.lead_source,
    tags = merged.tags,
    custom_fields = merged.custom_fields,
    time_zones = merged.time_zones,
    suppressed_channels = merged.suppressed_channels,
    updated_at = %(now)s
from merged_contacts as merged
where
    merged.is_known
    and contacts.id = merged.person_id
    and (
        contacts.source_system, contacts.external_id, contacts.phone_e164, contacts.email, contacts.first_name,
        contacts.last_name, contacts.company, contacts.lead_source, contacts.tags, contacts.custom_fields,
        contacts.time_zones, contacts.suppressed_channels
    ) is distinct from (
        merged.source_system, merged.external_id, merged.phone_e164, merged.email, merged.first_name,
        merged.last_name, merged.company, merged.lead_source, merged.tags, merged.custom_fields,
        merged.time_zones, merged.suppressed_channels
    )
