-- start_executions: one execution for each matched assignment of a batch; repeating it adds nothing
insert into flow_executions (flow_id, flow_version, user_id, contact_id, micro_batch_id)
select flow_id, flow_version, user_id, contact_id, micro_batch_id
from flow_assignments
where micro_batch_id = %(micro_batch_id)s and reason = 'matched'
on conflict (contact_id, micro_batch_id) do nothing
