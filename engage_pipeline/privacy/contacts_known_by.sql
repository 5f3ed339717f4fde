-- contacts_known_by: a tenant's contacts with a phone number, an e-mail address or an id of a source, newest first
select
    id,
    first_name,
    last_name,
    phone_e164,
    email,
    external_id,
    created_at
from contacts
where
    id in (
        select by_phone.id
        from contacts as by_phone
        where by_phone.user_id = %(user_id)s and by_phone.phone_e164 = %(phone_e164)s
        union
        select by_email.id
        from contacts as by_email
        where by_email.user_id = %(user_id)s and by_email.email = %(email)s
        union
        select by_id.id
        from contacts as by_id
        where
            by_id.user_id = %(user_id)s
            and by_id.source_system = %(source_system)s
            and by_id.external_id = %(external_id)s
    )
order by created_at desc, id desc
limit %(at_most)s
