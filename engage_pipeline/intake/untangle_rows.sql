-- untangle_rows: of the rows that may join somebody, those that leave no choice get their person; the others are marked
-- reads: joining_rows, known_contacts, writes: row_persons
-- A set of keys leaves no choice when no other set of the file has any of them, and all known contacts that they mean are
-- one, whom no other set means either.
create temporary table key_sets on commit drop as
select
    row_number() over () as key_set,
    external_id,
    phone_e164,
    email,
    min(line_number) as first_line,
    count(*) as row_count
from joining_rows
group by external_id, phone_e164, email;

create temporary table meant_contacts on commit drop as
select key_sets.key_set, known_contacts.contact_id, known_contacts.claimed_id
from key_sets
inner join known_contacts on key_sets.external_id = known_contacts.claimed_id
union
select key_sets.key_set, known_contacts.contact_id, known_contacts.claimed_id
from key_sets
inner join known_contacts on key_sets.phone_e164 = known_contacts.phone_e164
union
select key_sets.key_set, known_contacts.contact_id, known_contacts.claimed_id
from key_sets
inner join known_contacts on key_sets.email = known_contacts.email;

create temporary table tangled_sets on commit drop as
with shared as (
    select array_agg(key_set) as sets from key_sets where external_id is not null
    group by external_id having count(*) > 1
    union all
    select array_agg(key_set) from key_sets where phone_e164 is not null group by phone_e164 having count(*) > 1
    union all
    select array_agg(key_set) from key_sets where email is not null group by email having count(*) > 1
    union all
    select array_agg(key_set) from meant_contacts group by contact_id having count(*) > 1
)

select unnest(sets) as key_set from shared
union
select key_set from meant_contacts group by key_set having count(*) > 1
union
select meant_contacts.key_set
from meant_contacts
inner join key_sets on meant_contacts.key_set = key_sets.key_set
where key_sets.external_id <> meant_contacts.claimed_id;

insert into row_persons
select
    joining_rows.line_number,
    coalesce(meant_contacts.contact_id, first_rows.id),
    meant_contacts.contact_id is not null,
    false,
    false
from key_sets
left join tangled_sets on key_sets.key_set = tangled_sets.key_set
left join meant_contacts on key_sets.key_set = meant_contacts.key_set
inner join joining_rows
    on coalesce(key_sets.external_id, '') = coalesce(joining_rows.external_id, '')
    and coalesce(key_sets.phone_e164, '') = coalesce(joining_rows.phone_e164, '')
    and coalesce(key_sets.email, '') = coalesce(joining_rows.email, '')
inner join joining_rows as first_rows on key_sets.first_line = first_rows.line_number
where tangled_sets.key_set is null and (meant_contacts.contact_id is not null or key_sets.row_count > 1)
