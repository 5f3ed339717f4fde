-- forgotten_keys: the keys under which the tenant's forgotten people are hashed; none for most tenants
-- reads: suppressions
select distinct substring(address from '^hmac-sha256:[0-9a-f]+:')
from suppressions
where user_id = %(user_id)s and starts_with(address, 'hmac-sha256:')
