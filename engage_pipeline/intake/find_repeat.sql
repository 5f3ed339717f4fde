-- find_repeat: the tenant's upload that loaded the same bytes, if any
-- reads: lead_uploads
select id
from lead_uploads
where user_id = %(user_id)s and file_sha256 = %(file_sha256)s and status = 'loaded'
order by id
limit 1
