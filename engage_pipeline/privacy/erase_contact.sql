-- erase_contact: the row stays, as executions point at it, and says nothing of anybody
-- writes: contacts
update contacts
set
    source_system = null,
    external_id = null,
    phone_e164 = null,
    email = null,
    first_name = null,
    last_name = null,
    company = null,
    tags = '{}',
    custom_fields = '{}',
    time_zones = '{}',
    suppressed_channels = %(channels)s,
    forgotten_at = coalesce(forgotten_at, %(now)s),
    updated_at = %(now)s
where id = %(contact_id)s
