-- finish_upload: running -> loaded, refused, repeated or held, with the books
-- writes: lead_uploads
update lead_uploads
set
    status = %(status)s,
    file_sha256 = %(file_sha256)s,
    file_bytes = %(file_bytes)s,
    rows_seen = %(rows_read)s,
    rows_read = %(rows_read)s,
    rows_inserted = %(rows_inserted)s,
    rows_updated = %(rows_updated)s,
    rows_duplicate = %(rows_duplicate)s,
    rows_rejected = %(rows_rejected)s,
    rows_held = %(rows_held)s,
    format = %(format)s,
    column_mapping = %(column_mapping)s,
    findings = %(findings)s,
    repeat_of = %(repeat_of)s,
    refusal_code = %(refusal_code)s,
    refusal_reason = %(refusal_reason)s,
    finished_at = %(now)s
where id = %(upload_id)s
