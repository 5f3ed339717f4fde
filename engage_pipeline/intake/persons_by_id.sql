-- persons_by_id: rows that are whom their id says, where that one is known or has several rows
-- reads: lead_rows, joining_rows, known_contacts, writes: row_persons
with said_ids as (
    select external_id, min(line_number) as first_line, count(*) as row_count
    from lead_rows
    where external_id is not null
    group by external_id
),

persons as (
    select said_ids.external_id, said_ids.first_line, known_contacts.contact_id
    from said_ids
    left join known_contacts on said_ids.external_id = known_contacts.claimed_id
    where said_ids.row_count > 1 or known_contacts.contact_id is not null
)

insert into row_persons
select
    lead_rows.line_number,
    coalesce(persons.contact_id, first_rows.id),
    persons.contact_id is not null,
    false,
    false
from persons
inner join lead_rows on persons.external_id = lead_rows.external_id
inner join lead_rows as first_rows on persons.first_line = first_rows.line_number
left join joining_rows on lead_rows.line_number = joining_rows.line_number
where joining_rows.line_number is null;

analyze row_persons
