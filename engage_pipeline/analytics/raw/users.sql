-- users
-- grain: one row per tenant (id)
-- note:  the tenant's own name, never a contact's
select
    id::text as id,
    name,
    created_at
from users
