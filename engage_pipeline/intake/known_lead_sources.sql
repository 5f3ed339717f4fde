-- known_lead_sources: the spellings of lead sources that the tenant's contacts have, the oldest first
-- reads: contacts
select lead_source
from contacts
where user_id = %(user_id)s and lead_source is not null
group by lead_source
order by min(created_at), lead_source
