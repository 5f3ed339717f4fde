-- hold_intake: one writer of a tenant's contacts and suppressions from files at a time, until the transaction ends
select pg_advisory_xact_lock(hashtextextended('intake ' || %(user_id)s::uuid::text, 0))
