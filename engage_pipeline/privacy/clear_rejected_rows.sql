-- clear_rejected_rows: old quarantined rows forget what they said; line and reason stay
-- reads: lead_uploads, writes: rejected_rows
update rejected_rows
set raw_row = '[]'
from lead_uploads
where
    rejected_rows.upload_id = lead_uploads.id
    and lead_uploads.finished_at < %(before)s
    and lead_uploads.status <> 'held'
    and rejected_rows.raw_row <> '[]'
