-- reject_reasons: how many rows of one upload were rejected for each reason, and on which line the first stands
-- reads: rejected_rows
select
    reason_code,
    count(*) as row_count,
    min(line_number) as first_line_number
from rejected_rows
where upload_id = %(upload_id)s
group by reason_code
order by row_count desc, reason_code
