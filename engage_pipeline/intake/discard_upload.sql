-- discard_upload: held -> discarded; its rejected rows and its suppressions stay
-- writes: lead_uploads
update lead_uploads
set status = 'discarded', inbox_path = %(inbox_path)s, finished_at = %(now)s
where id = %(upload_id)s and status = 'held'
