-- stage_contacts: the relation `contacts` with its custom fields taken out of the JSON in one pass
-- grain: one row a contact, in the order of `contacts`; custom_fields becomes a list of JSON texts, one a bound path
select
    * exclude (custom_fields),
    json_extract(coalesce(custom_fields, '{}'), $paths)::varchar[] as custom_fields
from contacts
