-- offer_known_contacts: known contacts that a lead file names -> waiting to be picked up, where a flow takes them again
-- reads: merged_contacts, writes: contacts
update contacts
set micro_batch_id = null, updated_at = %(now)s
from merged_contacts as merged
where merged.is_known and contacts.id = merged.person_id and contacts.micro_batch_id is not null
