-- tangled_rows: the keys of the rows that have to be read one after another, in file order
-- reads: joining_rows, key_sets, tangled_sets
select
    joining_rows.line_number,
    joining_rows.id,
    joining_rows.external_id,
    joining_rows.phone_e164,
    joining_rows.email
from tangled_sets
inner join key_sets on tangled_sets.key_set = key_sets.key_set
inner join joining_rows
    on coalesce(key_sets.external_id, '') = coalesce(joining_rows.external_id, '')
    and coalesce(key_sets.phone_e164, '') = coalesce(joining_rows.phone_e164, '')
    and coalesce(key_sets.email, '') = coalesce(joining_rows.email, '')
order by joining_rows.line_number
