-- insert_assignments: one assignment a contact and batch; one that is there already stands, whatever is retried
-- reads: contacts, micro_batches, flow_executions, flow_assignments, flow_versions
-- A contact that arrived again meanwhile is in this batch no more, and is left to the next one. Known contacts: no flow
-- while one of their executions is open, and no flow again before its reentry_after_days are over; test runs never count.
with found as (
    select
        each.contact_id,
        each.user_id,
        each.flow_id,
        each.flow_version,
        each.reason
    from unnest(
        %(contact_ids)s::uuid[],
        %(user_ids)s::uuid[],
        %(flow_ids)s::uuid[],
        %(flow_versions)s::int[],
        %(reasons)s::text[]
    ) as each (contact_id, user_id, flow_id, flow_version, reason)
    inner join contacts on each.contact_id = contacts.id
    where contacts.micro_batch_id = %(micro_batch_id)s
),

entered as (
    select
        found.contact_id,
        bool_or(executions.status in ('pending', 'running')) as is_open,
        max(executions.triggered_at) filter (where executions.flow_id = found.flow_id) as last_entered_at
    from found
    inner join flow_executions as executions on found.contact_id = executions.contact_id
    where not executions.is_test_run and executions.micro_batch_id <> %(micro_batch_id)s
    group by found.contact_id
),

-- Matched in another batch, which has yet to start the execution.
entering as (
    select distinct found.contact_id
    from found
    inner join flow_assignments as assignments on found.contact_id = assignments.contact_id
    where
        assignments.reason = 'matched'
        and assignments.micro_batch_id <> %(micro_batch_id)s
        and not exists (
            select 1
            from flow_executions as executions
            where
                executions.contact_id = assignments.contact_id
                and executions.micro_batch_id = assignments.micro_batch_id
        )
),

decided as (
    select
        found.contact_id,
        found.user_id,
        found.flow_id,
        found.flow_version,
        case
            when found.reason = 'dnc' then 'dnc'
            when entered.is_open or entering.contact_id is not null then 'already_engaged'
            when
                entered.last_entered_at + make_interval(hours => 24 * (versions.definition ->> 'reentry_after_days')::int)
                <= (select formed_at from micro_batches where id = %(micro_batch_id)s)
                then found.reason
            when entered.last_entered_at is not null then 'reentry_blocked'
            else found.reason
        end as reason
    from found
    left join entered on found.contact_id = entered.contact_id
    left join entering on found.contact_id = entering.contact_id
    left join flow_versions as versions
        on found.flow_id = versions.flow_id and found.flow_version = versions.version
)

insert into flow_assignments (contact_id, micro_batch_id, user_id, flow_id, flow_version, reason)
select
    contact_id,
    %(micro_batch_id)s,
    user_id,
    case when reason not in ('already_engaged', 'reentry_blocked') then flow_id end,
    case when reason not in ('already_engaged', 'reentry_blocked') then flow_version end,
    reason
from decided
on conflict (contact_id, micro_batch_id) do nothing
