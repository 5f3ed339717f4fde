-- merged_records: what became of each record of a request, once its contacts are merged
-- reads: lead_rows, row_persons, contacts
-- A contact takes the id of the first of its rows; the others are its duplicates. Row-level security takes a coalesce for
-- something that could leak, and would pass over all contacts instead of looking the ids up; a case is none.
select
    lead_rows.line_number,
    contacts.id as contact_id,
    case
        when row_persons.is_known and contacts.updated_at = %(now)s then 'updated'
        when row_persons.is_known then 'unchanged'
        when contacts.id = lead_rows.id then 'created'
        else 'duplicate'
    end as status
from lead_rows
left join row_persons on lead_rows.line_number = row_persons.line_number
inner join contacts
    on contacts.id = case when row_persons.person_id is null then lead_rows.id else row_persons.person_id end
