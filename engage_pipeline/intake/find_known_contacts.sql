-- find_known_contacts: the tenant's contacts that any key of a lead file could mean
-- reads: lead_rows, contacts
-- claimed_id is the id that the file's source system gave them; null where none of it did.
create temporary table known_contacts on commit drop as
with said_ids as (
    select distinct external_id from lead_rows where external_id is not null
),

said_phones as (
    select distinct phone_e164 from lead_rows where phone_e164 is not null
),

said_emails as (
    select distinct email from lead_rows where email is not null
),

known as (
    select contacts.id
    from said_ids
    inner join contacts
        on contacts.user_id = %(user_id)s
        and contacts.source_system = %(source_system)s
        and contacts.external_id = said_ids.external_id
    union
    select contacts.id
    from said_phones
    inner join contacts on contacts.user_id = %(user_id)s and contacts.phone_e164 = said_phones.phone_e164
    union
    select contacts.id
    from said_emails
    inner join contacts on contacts.user_id = %(user_id)s and contacts.email = said_emails.email
)

select
    contacts.id as contact_id,
    case when contacts.source_system = %(source_system)s then contacts.external_id end as claimed_id,
    contacts.phone_e164,
    contacts.email
from known
inner join contacts on known.id = contacts.id
