-- rejected_rows
-- grain: one row per rejected row of a lead file (id)
-- note:  without the row itself and the reason's text, which quotes it
select
    id,
    upload_id,
    line_number,
    reason_code
from rejected_rows
