-- upload_settings: what was asked for beside the file, and what its tenant has decided
-- reads: lead_uploads, users
select
    lead_uploads.options,
    users.reject_threshold,
    users.known_contacts
from lead_uploads
inner join users on lead_uploads.user_id = users.id
where lead_uploads.id = %(upload_id)s
