-- suppress_returning: contacts written just now who are people that were forgotten -> suppressed on every channel
-- reads: suppressions, writes: contacts, whose trigger suppresses their addresses
-- HMAC-SHA256 by two plain hashes over the padded key, as PostgreSQL has none built in.
with hashed as (
    select distinct address
    from suppressions
    where user_id = %(user_id)s and starts_with(address, %(prefix)s)
),

arrived as (
    select
        contacts.id,
        known_by.said
    from contacts
    cross join lateral (
        values
        ('phone ' || contacts.phone_e164),
        ('email ' || contacts.email),
        ('id ' || contacts.source_system || ' ' || contacts.external_id)
    ) as known_by (said)
    where contacts.user_id = %(user_id)s and contacts.updated_at = %(now)s and known_by.said is not null
),

returning_people as (
    select distinct arrived.id
    from arrived
    inner join hashed
        on hashed.address = %(prefix)s || encode(
            sha256(%(outer)s::bytea || sha256(%(inner)s::bytea || convert_to(arrived.said, 'UTF8'))), 'hex'
        )
)

update contacts
set suppressed_channels = %(channels)s
from returning_people
where contacts.id = returning_people.id and not contacts.suppressed_channels @> %(channels)s::text[]
