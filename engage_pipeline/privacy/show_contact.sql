-- show_contact: what is known of one contact, and the channels on which one of its addresses is suppressed
select
    contacts.id as contact_id,
    users.name as tenant_name,
    contacts.source_system,
    contacts.external_id,
    contacts.phone_e164,
    contacts.email,
    contacts.first_name,
    contacts.last_name,
    contacts.company,
    contacts.lead_source,
    contacts.entry_type,
    contacts.tags,
    contacts.custom_fields,
    contacts.time_zones,
    contacts.suppressed_channels,
    array(
        select distinct suppressions.channel
        from suppressions
        where
            suppressions.user_id = contacts.user_id
            and suppressions.address in (contacts.phone_e164, contacts.email)
        order by suppressions.channel
    ) as suppressed_address_channels,
    contacts.is_dnc,
    contacts.upload_id,
    contacts.created_at,
    contacts.updated_at,
    contacts.forgotten_at
from contacts
inner join users on contacts.user_id = users.id
where contacts.id = %(contact_id)s and (%(user_id)s::uuid is null or contacts.user_id = %(user_id)s)
