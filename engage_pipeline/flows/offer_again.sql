-- offer_again: contacts that a batch picked up before -> waiting to be picked up, in the order in which they arrived
-- writes: contacts
-- The batch they were in keeps what it assigned. If it has not yet, it leaves them to the next one.
update contacts
set micro_batch_id = null, updated_at = %(now)s
where user_id = %(user_id)s and id = any(%(contact_ids)s) and micro_batch_id is not null
