-- load_findings: contacts of a file that said no to each channel, those that nobody can reach, and rows in conflict
-- reads: lead_rows, row_persons, merged_contacts
with persons as (
    select
        case
            when lead_rows.is_dnc then array['ai_call', 'whatsapp_message', 'email']
            else lead_rows.suppressed_channels
        end as channels,
        lead_rows.phone_e164 is null and lead_rows.email is null as is_unreachable
    from lead_rows
    left join row_persons on lead_rows.line_number = row_persons.line_number
    where row_persons.line_number is null
    union all
    select refused_channels, phone_e164 is null and email is null
    from merged_contacts
)

select
    count(*) filter (where 'ai_call' = any(channels)) as refusing_calls,
    count(*) filter (where 'email' = any(channels)) as refusing_emails,
    count(*) filter (where 'whatsapp_message' = any(channels)) as refusing_messages,
    count(*) filter (where is_unreachable) as unreachable,
    (
        select count(*) from row_persons where phone_is_of_other or email_is_of_other
    ) as conflicts
from persons
