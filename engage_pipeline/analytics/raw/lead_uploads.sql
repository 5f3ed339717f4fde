-- lead_uploads
-- grain: one row per upload (id)
-- note:  without file name, path and mapping, which are free text
select
    id,
    user_id,
    status,
    rows_read,
    rows_inserted,
    rows_updated,
    rows_duplicate,
    rows_rejected,
    rows_held,
    refusal_code,
    created_at,
    finished_at
from lead_uploads
