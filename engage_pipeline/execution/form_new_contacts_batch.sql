-- form_new_contacts_batch: contacts with no micro-batch -> one new batch of them, oldest first
-- A tick that runs at the same time skips what this one holds. No row: there was nothing to claim.
with picked as (
    select id
    from contacts
    where micro_batch_id is null
    order by created_at, id
    limit %(batch_size)s
    for update skip locked
),

batch as (
    insert into micro_batches (kind, item_count)
    select 'new_contacts', count(*) from picked
    having count(*) > 0
    returning id
),

claimed as (
    update contacts
    set micro_batch_id = batch.id
    from picked, batch
    where contacts.id = picked.id
)

select id from batch
