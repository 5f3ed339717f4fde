-- stg_users
-- grain: one row per tenant (user_id)
-- reads: raw.users
-- refresh: view
-- column user_id: the tenant
-- column tenant_name: the tenant's name, as the inbox folder and the flow files spell it
-- column time_zone: the tenant's time zone (IANA); days and hours of sends are read in it
select
    users.id as user_id,
    users.name as tenant_name,
    users.time_zone
from raw.users as users
