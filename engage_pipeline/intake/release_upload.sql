-- release_upload: held -> waiting for a run that takes the rejects as they are
-- writes: lead_uploads
update lead_uploads
set
    status = 'waiting',
    options = options || '{"accept_rejects": true}',
    inbox_path = %(inbox_path)s,
    rows_read = 0,
    rows_rejected = 0,
    rows_held = 0,
    rows_seen = null,
    finished_at = null,
    attempt = attempt + 1,
    lapse_count = 0,
    attempt_requested_at = clock_timestamp()
where id = %(upload_id)s and status = 'held'
