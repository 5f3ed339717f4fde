-- stg_lead_uploads
-- grain: one row per upload (upload_id)
-- reads: raw.lead_uploads
-- refresh: view
-- column upload_id: the upload
-- column user_id: the tenant
-- column upload_status: waiting, running, loaded, refused, repeated, failed, held or discarded
-- column rows_read: rows in the file
-- column rows_inserted: rows that became a new contact
-- column rows_updated: rows that changed a known contact
-- column rows_duplicate: rows that said nothing new
-- column rows_rejected: rows that became no contact
-- column rows_held: usable rows of a held upload
-- column refusal_code: why the file was refused; null unless it was
-- column uploaded_at: when the file was noticed, UTC
-- column finished_at: when it was done with, UTC; null until then
select
    lead_uploads.id as upload_id,
    lead_uploads.user_id,
    lead_uploads.status as upload_status,
    lead_uploads.rows_read,
    lead_uploads.rows_inserted,
    lead_uploads.rows_updated,
    lead_uploads.rows_duplicate,
    lead_uploads.rows_rejected,
    lead_uploads.rows_held,
    lead_uploads.refusal_code,
    lead_uploads.created_at as uploaded_at,
    lead_uploads.finished_at
from raw.lead_uploads as lead_uploads
