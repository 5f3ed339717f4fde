-- register_upload: a file of the inbox -> an upload that waits, unless one is open for that path
-- writes: lead_uploads
insert into lead_uploads (user_id, file_name, inbox_path, file_bytes, options, created_at, attempt_requested_at)
values (%(user_id)s, %(file_name)s, %(inbox_path)s, %(file_bytes)s, %(options)s, %(now)s, clock_timestamp())
on conflict (inbox_path) where status in ('waiting', 'running') do nothing
returning id
