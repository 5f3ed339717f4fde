-- rejected_rows_of_tenant: the quarantined rows of a tenant that still say something
select
    rejected_rows.id,
    rejected_rows.raw_row
from rejected_rows
inner join lead_uploads on rejected_rows.upload_id = lead_uploads.id
where lead_uploads.user_id = %(user_id)s and rejected_rows.raw_row <> '[]'
order by rejected_rows.id
