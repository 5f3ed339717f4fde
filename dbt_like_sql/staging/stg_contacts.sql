-- stg_contacts
-- grain: one row per contact (contact_id)
-- reads: raw.contacts
-- refresh: view
-- column contact_id: the contact
-- column user_id: the tenant
-- column lead_source: where the lead came from; null when nobody said
-- column entry_type: bulk_upload, manual or another way in
-- column upload_id: the upload that created the contact; null when none did
-- column is_dnc: whether it carries a do-not-contact tag
-- column has_phone: whether a phone number is known
-- column has_email: whether an e-mail address is known
-- column is_ai_call_suppressed: whether the contact said no to calls
-- column is_whatsapp_suppressed: whether the contact said no to WhatsApp
-- column is_email_suppressed: whether the contact said no to e-mail
-- column created_at: when the contact was first loaded, UTC
select
    contacts.id as contact_id,
    contacts.user_id,
    contacts.lead_source,
    contacts.entry_type,
    contacts.upload_id,
    contacts.is_dnc,
    contacts.has_phone,
    contacts.has_email,
    contacts.is_ai_call_suppressed,
    contacts.is_whatsapp_suppressed,
    contacts.is_email_suppressed,
    contacts.created_at
from raw.contacts as contacts
