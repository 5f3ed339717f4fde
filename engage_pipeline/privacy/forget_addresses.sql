-- forget_addresses: plain addresses that no contact has any more leave the suppression list; their hashes stay
-- writes: suppressions
delete from suppressions
where
    user_id = %(user_id)s
    and (
        (
            address = any(%(phones)s::text[])
            and not exists (
                select 1
                from contacts
                where contacts.user_id = suppressions.user_id and contacts.phone_e164 = suppressions.address
            )
        )
        or (
            address = any(%(emails)s::text[])
            and not exists (
                select 1
                from contacts
                where contacts.user_id = suppressions.user_id and contacts.email = suppressions.address
            )
        )
    )
