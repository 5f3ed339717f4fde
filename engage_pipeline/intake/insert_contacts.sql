-- insert_contacts: the contacts that a lead file makes
-- reads: lead_rows, row_persons, merged_contacts, writes: contacts
insert into contacts (
    id, user_id, entry_type, upload_id, created_at, updated_at, source_system, external_id, phone_e164, email,
    first_name, last_name, company, lead_source, tags, custom_fields, time_zones, suppressed_channels
)
select
    lead_rows.id,
    %(user_id)s,
    %(entry_type)s,
    %(upload_id)s::uuid,
    %(now)s,
    %(now)s,
    case when lead_rows.external_id is not null then %(source_system)s end,
    lead_rows.external_id,
    lead_rows.phone_e164,
    lead_rows.email,
    lead_rows.first_name,
    lead_rows.last_name,
    lead_rows.company,
    lead_rows.lead_source,
    lead_rows.tags,
    lead_rows.custom_fields,
    coalesce(lead_rows.time_zones, '{}'),
    lead_rows.suppressed_channels
from lead_rows
left join row_persons on lead_rows.line_number = row_persons.line_number
where row_persons.line_number is null
union all
select
    person_id,
    %(user_id)s,
    %(entry_type)s,
    %(upload_id)s::uuid,
    %(now)s,
    %(now)s,
    source_system,
    external_id,
    phone_e164,
    email,
    first_name,
    last_name,
    company,
    lead_source,
    tags,
    custom_fields,
    time_zones,
    suppressed_channels
from merged_contacts
where not is_known
