-- hold_contacts: the contacts of one micro-batch stay in it until the commit: a tick that forms batches skips them
select id
from contacts
where micro_batch_id = %(micro_batch_id)s
order by id
for key share
