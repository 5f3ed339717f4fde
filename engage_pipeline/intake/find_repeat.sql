-- find_repeat: the tenant's upload that loaded the same bytes, or holds them, if any
-- reads: lead_uploads
select id
from lead_uploads
where
    user_id = %(user_id)s
    and file_sha256 = %(file_sha256)s
    and status in ('loaded', 'held')
    and id <> %(upload_id)s
order by id
limit 1
