-- auto_engagement_flows
-- grain: one row per flow, deleted ones too (id)
select
    id,
    user_id,
    name,
    is_enabled,
    priority,
    version,
    created_at,
    deleted_at
from auto_engagement_flows
