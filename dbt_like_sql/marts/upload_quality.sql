-- upload_quality
-- grain: one row per upload (upload_id)
-- reads: stg_lead_uploads, stg_rejected_rows
-- column user_id: the tenant
-- column upload_id: the upload
-- column upload_status: waiting, running, loaded, refused, repeated, failed, held or discarded
-- column refusal_code: why the file was refused; null unless it was
-- column uploaded_at: when the file was noticed, UTC
-- column load_seconds: from then until it was done with; null while it is not
-- column rows_read: rows in the file
-- column rows_inserted: rows that became a new contact
-- column rows_updated: rows that changed a known contact
-- column rows_duplicate: rows that said nothing new
-- column rows_rejected: rows that became no contact
-- column rows_held: usable rows of a held upload
-- column reject_rate: rows_rejected by rows_read, 0 to 1; null when nothing was read
-- column reject_rate_low: lower end of the 95 % Wilson interval of reject_rate
-- column reject_rate_high: upper end of the 95 % Wilson interval of reject_rate
-- column enough_data: whether rows_read is at least 30
-- column top_reject_reason: the most frequent reason in quarantine; null when nothing is there
-- column top_reject_count: rows with that reason
with reasons as (
    select upload_id, reason_code, count(*) as row_count
    from stg_rejected_rows
    group by upload_id, reason_code
),

top_reasons as (
    select upload_id, reason_code, row_count
    from reasons
    qualify row_number() over (partition by upload_id order by row_count desc, reason_code asc) = 1
)

select
    uploads.user_id,
    uploads.upload_id,
    uploads.upload_status,
    uploads.refusal_code,
    uploads.uploaded_at,
    (epoch_us(uploads.finished_at) - epoch_us(uploads.uploaded_at)) / 1000000 as load_seconds,
    uploads.rows_read,
    uploads.rows_inserted,
    uploads.rows_updated,
    uploads.rows_duplicate,
    uploads.rows_rejected,
    uploads.rows_held,
    uploads.rows_rejected / nullif(uploads.rows_read, 0) as reject_rate,
    wilson_low(uploads.rows_rejected, uploads.rows_read) as reject_rate_low,
    wilson_high(uploads.rows_rejected, uploads.rows_read) as reject_rate_high,
    uploads.rows_read >= 30 as enough_data,
    top_reasons.reason_code as top_reject_reason,
    top_reasons.row_count as top_reject_count
from stg_lead_uploads as uploads
left join top_reasons on uploads.upload_id = top_reasons.upload_id
