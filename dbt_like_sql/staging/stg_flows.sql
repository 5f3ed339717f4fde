-- stg_flows
-- grain: one row per flow, deleted ones too (flow_id)
-- reads: raw.auto_engagement_flows
-- refresh: view
-- column flow_id: the flow
-- column user_id: the tenant that owns the flow
-- column flow_name: its name today
-- column flow_priority: its priority today, 0 is asked first; null when deleted
-- column current_version: the version that new executions get
-- column is_enabled: whether new contacts can enter it today
-- column is_deleted: whether the flow was deleted; its history stays
-- column created_at: when the flow was made, UTC
select
    flows.id as flow_id,
    flows.user_id,
    flows.name as flow_name,
    flows.priority as flow_priority,
    flows.version as current_version,
    flows.is_enabled and flows.deleted_at is null as is_enabled,
    flows.deleted_at is not null as is_deleted,
    flows.created_at
from raw.auto_engagement_flows as flows
