-- insert_logs: an execution's next action logs, pending or skipped; a log that is there already stays as it is
insert into flow_action_logs (
    execution_id,
    user_id,
    action_id,
    action_order,
    action_type,
    status,
    due_at,
    skip_reason,
    outcome_timeout_minutes,
    awaits_reading,
    completed_at,
    micro_batch_id
)
select
    new.execution_id,
    new.user_id,
    actions.id,
    new.action_order,
    new.action_type,
    new.status,
    new.due_at,
    new.skip_reason,
    new.outcome_timeout_minutes,
    new.awaits_reading,
    case when new.status = 'skipped' then %(now)s end,
    case when new.status = 'pending' then %(micro_batch_id)s::uuid end
from unnest(
    %(execution_ids)b::uuid[],
    %(user_ids)b::uuid[],
    %(flow_ids)b::uuid[],
    %(flow_versions)s::int[],
    %(action_orders)s::int[],
    %(action_types)b::text[],
    %(statuses)b::text[],
    %(due_ats)s::timestamptz[],
    %(skip_reasons)b::text[],
    %(timeouts)s::int[],
    %(awaits_reading)s::boolean[]
) as new (
    execution_id,
    user_id,
    flow_id,
    flow_version,
    action_order,
    action_type,
    status,
    due_at,
    skip_reason,
    outcome_timeout_minutes,
    awaits_reading
)
inner join auto_engagement_flows as flows on new.flow_id = flows.id
-- The actions table holds the current version only; a log of an older one stands without an action id.
left join flow_actions as actions
    on new.flow_id = actions.flow_id
    and new.action_order = actions.action_order
    and new.flow_version = flows.version
on conflict (execution_id, action_order) do nothing
