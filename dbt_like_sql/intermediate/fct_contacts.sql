-- fct_contacts
-- grain: one row per contact (contact_id)
-- reads: dim_executions, fct_actions, stg_contacts, stg_flow_assignments
-- refresh: by contact_id
-- note:  how far each contact came; a stage is true only for a contact that passed all stages before it
-- column contact_id: the contact
-- column user_id: the tenant
-- column lead_source: where it came from; null when nobody said
-- column upload_id: the upload that created it; null when none did
-- column created_at: when it was first loaded, UTC
-- column is_contactable: no do-not-contact tag, and an address on a channel that it did not say no to; matching agreed
-- column is_matched: contactable, and a flow took it
-- column is_started: matched, and an execution began (test runs apart)
-- column is_attempted: started, and a request was made and answered
-- column is_accepted: attempted, and a provider took a request
-- column is_reached: accepted, and reached at least once
-- column is_succeeded: reached, and succeeded at least once
-- column first_sent_at: when the first answered request was sent, UTC; null when none was
-- column first_flow_id: the flow of that request; null when none was
with assignments as (
    select
        contact_id,
        bool_or(assignment_reason not in ('dnc', 'suppressed', 'unreachable')) as was_contactable,
        bool_or(assignment_reason = 'matched') as was_matched
    from stg_flow_assignments
    group by contact_id
),

executions as (
    select contact_id, count(*) as execution_count from dim_executions where not is_test_run group by contact_id
),

actions as (
    select
        contact_id,
        bool_or(is_attempted) as was_attempted,
        bool_or(is_accepted) as was_accepted,
        bool_or(is_reached) as was_reached,
        bool_or(is_succeeded) as was_succeeded,
        min(sent_at) filter (where is_attempted) as first_sent_at,
        (min({'sent_at': sent_at, 'action_log_id': action_log_id, 'flow_id': flow_id})
            filter (where is_attempted)).flow_id as first_flow_id
    from fct_actions
    group by contact_id
),

-- What was matched, sent or reached was contactable then, whatever was said since.
contacts as (
    select
        stg_contacts.contact_id,
        stg_contacts.user_id,
        stg_contacts.lead_source,
        stg_contacts.upload_id,
        stg_contacts.created_at,
        coalesce(
            assignments.was_contactable,
            not stg_contacts.is_dnc
            and (
                (stg_contacts.has_phone and not stg_contacts.is_ai_call_suppressed)
                or (stg_contacts.has_phone and not stg_contacts.is_whatsapp_suppressed)
                or (stg_contacts.has_email and not stg_contacts.is_email_suppressed)
            )
        ) as is_contactable,
        coalesce(assignments.was_matched, false) as was_matched,
        executions.execution_count is not null as was_started,
        coalesce(actions.was_attempted, false) as was_attempted,
        coalesce(actions.was_accepted, false) as was_accepted,
        coalesce(actions.was_reached, false) as was_reached,
        coalesce(actions.was_succeeded, false) as was_succeeded,
        actions.first_sent_at,
        actions.first_flow_id
    from stg_contacts
    left join assignments on stg_contacts.contact_id = assignments.contact_id
    left join executions on stg_contacts.contact_id = executions.contact_id
    left join actions on stg_contacts.contact_id = actions.contact_id
),

stages as (
    select
        *,
        is_contactable and was_matched as is_matched,
        is_contactable and was_matched and was_started as is_started
    from contacts
)

select
    stages.contact_id,
    stages.user_id,
    stages.lead_source,
    stages.upload_id,
    stages.created_at,
    stages.is_contactable,
    stages.is_matched,
    stages.is_started,
    stages.is_started and stages.was_attempted as is_attempted,
    stages.is_started and stages.was_attempted and stages.was_accepted as is_accepted,
    stages.is_started and stages.was_attempted and stages.was_accepted and stages.was_reached as is_reached,
    stages.is_started and stages.was_attempted and stages.was_accepted and stages.was_reached and stages.was_succeeded
        as is_succeeded,
    stages.first_sent_at,
    stages.first_flow_id
from stages
