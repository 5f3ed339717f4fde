-- stg_users
-- grain: one row per tenant (user_id)
-- reads: raw.users
-- column user_id: the tenant
-- column tenant_name: the tenant's name, as the inbox folder and the flow files spell it
with users as (
    select id, name from raw.users
)

select
    users.id as user_id,
    users.name as tenant_name
from users
