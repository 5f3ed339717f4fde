-- contacts
-- grain: one row per contact (id)
-- note:  says whether there is a phone number or an e-mail address, and never which
-- note:  a lead source that looks like an address or a phone number is not taken
select
    id,
    user_id,
    case
        when lead_source !~ '@' and length(regexp_replace(lead_source, '[^0-9]', '', 'g')) < 7 then lead_source
    end as lead_source,
    entry_type,
    upload_id,
    is_dnc,
    phone_e164 is not null as has_phone,
    email is not null as has_email,
    'ai_call' = any(suppressed_channels) as is_ai_call_suppressed,
    'whatsapp_message' = any(suppressed_channels) as is_whatsapp_suppressed,
    'email' = any(suppressed_channels) as is_email_suppressed,
    created_at
from contacts
