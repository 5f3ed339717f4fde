-- preview_leads: the first rows of a file as contacts, with phone, e-mail, names and ids masked
-- reads: lead_rows
select
    line_number as line,
    case when external_id is null then '' else '[id]' end as external_id,
    case when first_name is null and last_name is null then '' else '[name]' end as name,
    case when phone_e164 is null then '' else '[phone]' end as phone_e164,
    case when email is null then '' else '[email]' end as email,
    coalesce(lead_source, '') as lead_source,
    array_to_string(tags, ', ') as tags,
    (select count(*) from jsonb_object_keys(custom_fields)) as custom_fields,
    array_to_string(suppressed_channels, ', ') as suppressed_channels
from lead_rows
order by line_number
limit 10
