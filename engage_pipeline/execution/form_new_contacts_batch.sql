-- form_new_contacts_batch: contacts with no micro-batch -> one new batch of them, in the order in which they arrived
-- A tick that runs at the same time skips what this one holds. While a batch still waits for its run, only a full one is
-- added: starting a run costs seconds, and a small batch behind a waiting one would begin no earlier. No row: none formed.
with picked as (
    select id
    from contacts
    where micro_batch_id is null
    order by updated_at, id
    limit %(batch_size)s
    for update skip locked
),

batch as (
    insert into micro_batches (kind, item_count)
    select 'new_contacts', count(*) from picked
    having
        count(*) = %(batch_size)s
        or (
            count(*) > 0
            and not exists (select 1 from micro_batches where kind = 'new_contacts' and status = 'waiting')
        )
    returning id
),

claimed as (
    update contacts
    set micro_batch_id = batch.id
    from picked, batch
    where contacts.id = picked.id
)

select id from batch
