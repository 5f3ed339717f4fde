-- merge_persons: known contacts, and those with several rows, as the file leaves them
-- reads: lead_rows, row_persons, contacts
-- What a later row says replaces, what it does not say stays, tags and wishes are only added. Where known contacts are to
-- be left, their rows say nothing but wishes.
create temporary table merged_contacts on commit drop as
with said as (
    select
        contacts.id as person_id,
        0 as line_number,
        true as is_known,
        contacts.source_system,
        contacts.external_id,
        contacts.phone_e164,
        contacts.email,
        contacts.first_name,
        contacts.last_name,
        contacts.company,
        contacts.lead_source,
        contacts.tags,
        contacts.custom_fields,
        nullif(contacts.time_zones, '{}') as time_zones,
        contacts.suppressed_channels
    from (select distinct person_id from row_persons where is_known) as persons
    inner join contacts on persons.person_id = contacts.id
    union all
    select
        row_persons.person_id,
        lead_rows.line_number,
        false,
        case when lead_rows.external_id is not null then %(source_system)s::text end,
        lead_rows.external_id,
        case when not row_persons.phone_is_of_other then lead_rows.phone_e164 end,
        case when not row_persons.email_is_of_other then lead_rows.email end,
        lead_rows.first_name,
        lead_rows.last_name,
        lead_rows.company,
        lead_rows.lead_source,
        lead_rows.tags,
        case
            when row_persons.phone_is_of_other and row_persons.email_is_of_other
                then lead_rows.custom_fields || jsonb_build_object(
                    %(phone_header)s::text, lead_rows.phone_e164, %(email_header)s::text, lead_rows.email
                )
            when row_persons.phone_is_of_other
                then lead_rows.custom_fields || jsonb_build_object(%(phone_header)s::text, lead_rows.phone_e164)
            when row_persons.email_is_of_other
                then lead_rows.custom_fields || jsonb_build_object(%(email_header)s::text, lead_rows.email)
            else lead_rows.custom_fields
        end,
        case when not row_persons.phone_is_of_other then lead_rows.time_zones end,
        lead_rows.suppressed_channels
    from row_persons
    inner join lead_rows on row_persons.line_number = lead_rows.line_number
    where not (row_persons.is_known and %(leaves_known)s)
    union all
    select
        row_persons.person_id,
        lead_rows.line_number,
        false,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        case when lead_rows.is_dnc then array['DNC'] else '{}' end,
        '{}',
        null,
        lead_rows.suppressed_channels
    from row_persons
    inner join lead_rows on row_persons.line_number = lead_rows.line_number
    where row_persons.is_known and %(leaves_known)s
),

gathered as (
    select
        person_id,
        bool_or(is_known) as is_known,
        (array_agg(source_system order by line_number) filter (where external_id is not null))[1] as source_system,
        (array_agg(external_id order by line_number) filter (where external_id is not null))[1] as external_id,
        array_agg(phone_e164 order by line_number) filter (where phone_e164 is not null) as phones,
        array_agg(email order by line_number) filter (where email is not null) as emails,
        array_agg(first_name order by line_number) filter (where first_name is not null) as first_names,
        array_agg(last_name order by line_number) filter (where last_name is not null) as last_names,
        array_agg(company order by line_number) filter (where company is not null) as companies,
        array_agg(lead_source order by line_number) filter (where lead_source is not null) as lead_sources,
        array_agg(tags::text order by line_number) filter (where tags <> '{}') as tag_lists,
        array_agg(custom_fields order by line_number) as custom_fields,
        array_agg(time_zones::text order by line_number) filter (where time_zones is not null) as zone_lists,
        bool_or('ai_call' = any(suppressed_channels)) as refuses_calls,
        bool_or('whatsapp_message' = any(suppressed_channels)) as refuses_messages,
        bool_or('email' = any(suppressed_channels)) as refuses_emails
    from said
    group by person_id
),

merged as (
    select
        person_id,
        is_known,
        source_system,
        external_id,
        phones[cardinality(phones)] as phone_e164,
        emails[cardinality(emails)] as email,
        first_names[cardinality(first_names)] as first_name,
        last_names[cardinality(last_names)] as last_name,
        companies[cardinality(companies)] as company,
        lead_sources[cardinality(lead_sources)] as lead_source,
        case
            when tag_lists is null then '{}'
            when tag_lists[1] = all(tag_lists) then tag_lists[1]::text[]
            else (
                select array_agg(first_of_each.tag order by first_of_each.list, first_of_each.place)
                from (
                    select distinct on (casefold(each.tag collate "pg_unicode_fast")) lists.list, each.place, each.tag
                    from unnest(tag_lists) with ordinality as lists (tags, list)
                    cross join lateral unnest(lists.tags::text[]) with ordinality as each (tag, place)
                    order by casefold(each.tag collate "pg_unicode_fast"), lists.list, each.place
                ) as first_of_each
            )
        end as tags,
        case cardinality(custom_fields)
            when 1 then custom_fields[1]
            when 2 then custom_fields[1] || custom_fields[2]
            else (
                select coalesce(jsonb_object_agg(field.key, field.value order by objects.place), '{}')
                from unnest(custom_fields) with ordinality as objects (fields, place)
                cross join lateral jsonb_each(objects.fields) as field (key, value)
            )
        end as custom_fields,
        coalesce(zone_lists[cardinality(zone_lists)]::text[], '{}') as time_zones,
        array_remove(
            array[
                case when refuses_calls then 'ai_call' end,
                case when refuses_messages then 'whatsapp_message' end,
                case when refuses_emails then 'email' end
            ],
            null
        ) as suppressed_channels
    from gathered
)

select
    merged.*,
    case
        when engage_has_dnc_tag(tags) then array['ai_call', 'whatsapp_message', 'email']
        else suppressed_channels
    end as refused_channels
from merged;

analyze merged_contacts
