-- users
-- grain: one row per tenant (id)
-- note:  the tenant's own name, never a contact's
select
    id,
    name,
    time_zone,
    created_at
from users
