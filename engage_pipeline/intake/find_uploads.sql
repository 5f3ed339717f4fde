-- find_uploads: uploads with their tenant, newest first; all of them, one by id, or those of some inbox paths
-- reads: lead_uploads, users
select
    lead_uploads.id as upload_id,
    lead_uploads.user_id,
    users.name as tenant_name,
    users.default_phone_region,
    users.time_zone,
    lead_uploads.file_name,
    lead_uploads.inbox_path,
    lead_uploads.status,
    lead_uploads.rows_read,
    lead_uploads.rows_inserted,
    lead_uploads.rows_updated,
    lead_uploads.rows_duplicate,
    lead_uploads.rows_rejected,
    lead_uploads.rows_held,
    lead_uploads.rows_seen,
    lead_uploads.options,
    lead_uploads.repeat_of,
    lead_uploads.refusal_code,
    lead_uploads.refusal_reason,
    lead_uploads.format,
    lead_uploads.column_mapping,
    lead_uploads.findings,
    lead_uploads.created_at,
    coalesce(lead_uploads.finished_at, lead_uploads.attempt_requested_at) as last_touched_at,
    lead_uploads.finished_at
from lead_uploads
inner join users on lead_uploads.user_id = users.id
where
    (%(upload_id)s::uuid is null or lead_uploads.id = %(upload_id)s)
    and (%(user_id)s::uuid is null or lead_uploads.user_id = %(user_id)s)
    and (%(status)s::text is null or lead_uploads.status = %(status)s)
    and (%(before)s::uuid is null or lead_uploads.id < %(before)s)
    and (%(inbox_paths)s::text[] is null or lead_uploads.inbox_path = any(%(inbox_paths)s))
order by lead_uploads.id desc
limit %(at_most)s
