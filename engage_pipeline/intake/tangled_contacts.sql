-- tangled_contacts: the known contacts that those rows could mean, oldest first
-- reads: known_contacts, meant_contacts, tangled_sets
select
    known_contacts.contact_id,
    known_contacts.claimed_id,
    known_contacts.phone_e164,
    known_contacts.email
from known_contacts
where exists (
    select from meant_contacts
    inner join tangled_sets on meant_contacts.key_set = tangled_sets.key_set
    where meant_contacts.contact_id = known_contacts.contact_id
)
order by known_contacts.contact_id
