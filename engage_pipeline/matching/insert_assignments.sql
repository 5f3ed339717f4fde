-- insert_assignments: one assignment a contact and batch; one that is there already stands, whatever is retried
insert into flow_assignments (contact_id, micro_batch_id, user_id, flow_id, flow_version, reason)
select
    new.contact_id,
    %(micro_batch_id)s,
    new.user_id,
    new.flow_id,
    new.flow_version,
    new.reason
from unnest(
    %(contact_ids)s::uuid[],
    %(user_ids)s::uuid[],
    %(flow_ids)s::uuid[],
    %(flow_versions)s::int[],
    %(reasons)s::text[]
) as new (contact_id, user_id, flow_id, flow_version, reason)
on conflict (contact_id, micro_batch_id) do nothing
