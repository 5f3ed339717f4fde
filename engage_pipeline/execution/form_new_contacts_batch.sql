-- form_new_contacts_batch: contacts with no micro-batch -> one new batch of them, the tenants taking turns
-- Within a tenant its lanes take turns, each in the order of arrival: an upload is one lane, and what came one by one is
-- another. So a large upload makes neither a single lead nor another tenant wait for its end. A tick that runs at the same
-- time skips what this one holds. While a batch still waits for its run, only a full one is added: starting a run costs
-- seconds, and a small batch behind a waiting one would begin no earlier. No row: none formed.
with recursive lanes as (
    -- The next lane is looked up in the index each time, instead of reading all that wait.
    (
        select
            user_id,
            coalesce(upload_id, '00000000-0000-0000-0000-000000000000'::uuid) as lane
        from contacts
        where micro_batch_id is null
        order by user_id, lane
        limit 1
    )
    union all
    select
        following.user_id,
        following.lane
    from lanes
    cross join lateral (
        select
            user_id,
            coalesce(upload_id, '00000000-0000-0000-0000-000000000000'::uuid) as lane
        from contacts
        where
            micro_batch_id is null
            and (user_id, coalesce(upload_id, '00000000-0000-0000-0000-000000000000'::uuid)) > (lanes.user_id, lanes.lane)
        order by user_id, lane
        limit 1
    ) as following
),

candidates as (
    select
        waiting.id,
        lanes.user_id,
        row_number() over (partition by lanes.user_id order by waiting.place, lanes.lane) as turn
    from lanes
    cross join lateral (
        select
            id,
            row_number() over (order by updated_at, id) as place
        from contacts
        where
            micro_batch_id is null
            and user_id = lanes.user_id
            and coalesce(upload_id, '00000000-0000-0000-0000-000000000000'::uuid) = lanes.lane
        order by updated_at, id
        limit %(batch_size)s
    ) as waiting
),

chosen as (
    select id
    from candidates
    order by turn, user_id
    limit %(batch_size)s
),

picked as (
    select contacts.id
    from contacts
    inner join chosen on contacts.id = chosen.id
    where contacts.micro_batch_id is null
    order by contacts.id
    for update of contacts skip locked
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
