-- find_joining_rows: rows that may be somebody whose id they do not give, and those they could meet there
-- reads: lead_rows, known_contacts
-- A row with an id joins only a contact that has none of its source, so a phone or e-mail that all have under ids leads
-- to nobody. Every other row is whom its id says, whatever else it has in common with others.
create temporary table joining_rows on commit drop as
with joining_keys as (
    select phone_e164 as key from lead_rows where external_id is null and phone_e164 is not null
    union
    select email from lead_rows where external_id is null and email is not null
    union
    select phone_e164 from known_contacts where claimed_id is null and phone_e164 is not null
    union
    select email from known_contacts where claimed_id is null and email is not null
)

select
    lead_rows.line_number,
    lead_rows.external_id,
    lead_rows.phone_e164,
    lead_rows.email,
    lead_rows.id
from lead_rows
left join joining_keys as by_phone on lead_rows.phone_e164 = by_phone.key
left join joining_keys as by_email on lead_rows.email = by_email.key
where lead_rows.external_id is null or by_phone.key is not null or by_email.key is not null;

-- A contact has all its rows here, or none.
with met_ids as (
    select external_id from joining_rows where external_id is not null
    union
    select known_contacts.claimed_id
    from joining_rows
    inner join known_contacts on joining_rows.phone_e164 = known_contacts.phone_e164
    where known_contacts.claimed_id is not null
    union
    select known_contacts.claimed_id
    from joining_rows
    inner join known_contacts on joining_rows.email = known_contacts.email
    where known_contacts.claimed_id is not null
)

insert into joining_rows
select
    lead_rows.line_number,
    lead_rows.external_id,
    lead_rows.phone_e164,
    lead_rows.email,
    lead_rows.id
from met_ids
inner join lead_rows on met_ids.external_id = lead_rows.external_id
left join joining_rows on lead_rows.line_number = joining_rows.line_number
where joining_rows.line_number is null;

analyze joining_rows
