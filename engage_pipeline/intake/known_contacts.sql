-- known_contacts: the tenant's contacts that any key of a lead file could mean, oldest first
-- reads: contacts
with by_external_id as (
    select contacts.id
    from unnest(%(external_ids)s::text[]) as wanted (external_id)
    inner join contacts
        on contacts.user_id = %(user_id)s
        and contacts.source_system = %(source_system)s
        and contacts.external_id = wanted.external_id
),

by_phone as (
    select contacts.id
    from unnest(%(phones)s::text[]) as wanted (phone_e164)
    inner join contacts on contacts.user_id = %(user_id)s and contacts.phone_e164 = wanted.phone_e164
),

by_email as (
    select contacts.id
    from unnest(%(emails)s::text[]) as wanted (email)
    inner join contacts on contacts.user_id = %(user_id)s and contacts.email = wanted.email
),

known as (
    select id from by_external_id
    union
    select id from by_phone
    union
    select id from by_email
)

select
    contacts.id,
    contacts.source_system,
    contacts.external_id,
    contacts.phone_e164,
    contacts.email,
    contacts.first_name,
    contacts.last_name,
    contacts.company,
    contacts.lead_source,
    contacts.tags,
    contacts.custom_fields,
    contacts.suppressed_channels
from known
inner join contacts on known.id = contacts.id
order by contacts.id
