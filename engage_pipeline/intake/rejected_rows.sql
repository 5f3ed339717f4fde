-- rejected_rows: the quarantined rows of one upload in the order of the file, but for those whose text was cleared
-- reads: rejected_rows
select
    line_number,
    reason_code,
    reason,
    raw_row
from rejected_rows
where upload_id = %(upload_id)s and raw_row <> '[]'
order by line_number, id
