-- stg_rejected_rows
-- grain: one row per rejected row of a lead file (rejected_row_id)
-- reads: raw.rejected_rows
-- refresh: view
-- column rejected_row_id: the rejected row
-- column upload_id: the upload it is of
-- column line_number: the line of the file on which it begins
-- column reason_code: why it became no contact
select
    rejected_rows.id as rejected_row_id,
    rejected_rows.upload_id,
    rejected_rows.line_number,
    rejected_rows.reason_code
from raw.rejected_rows as rejected_rows
