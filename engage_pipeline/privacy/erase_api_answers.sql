-- erase_api_answers: answers that the API would repeat, where they name the contact or one of its addresses
-- writes: idempotency_keys
delete from idempotency_keys
where
    user_id = %(user_id)s
    and body is not null
    and exists (
        select from unnest(%(needles)s::text[]) as told (needle)
        where position(told.needle in convert_from(body, 'UTF8')) > 0
    )
