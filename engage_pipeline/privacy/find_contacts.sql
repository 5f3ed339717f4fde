-- find_contacts: contacts with a phone number, an e-mail address, an id or a name, newest first
select
    contacts.id as contact_id,
    users.name as tenant_name,
    contacts.first_name,
    contacts.last_name,
    contacts.phone_e164,
    contacts.email,
    contacts.created_at
from contacts
inner join users on contacts.user_id = users.id
where
    contacts.id::text = lower(%(text)s)
    or contacts.external_id = %(text)s
    or contacts.phone_e164 = any(%(phones)s::text[])
    or contacts.email = %(email)s
    or lower(concat_ws(' ', contacts.first_name, contacts.last_name)) = lower(%(text)s)
order by contacts.created_at desc, contacts.id desc
limit %(at_most)s
