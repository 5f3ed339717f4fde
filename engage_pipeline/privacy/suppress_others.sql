-- suppress_others: other contacts with an address of somebody who was forgotten -> suppressed on every channel
-- writes: contacts, whose trigger suppresses their addresses
update contacts
set suppressed_channels = %(channels)s, updated_at = %(now)s
where
    user_id = %(user_id)s
    and (phone_e164 = any(%(phones)s::text[]) or email = any(%(emails)s::text[]))
    and not suppressed_channels @> %(channels)s::text[]
