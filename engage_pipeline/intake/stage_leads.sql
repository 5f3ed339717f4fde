-- stage_leads: a session's own tables for the rows of one lead file; gone at the commit
-- An id is given to each row as it comes: a new contact takes that of its first row, so that ids are in file order.
create temporary table lead_rows (
    line_number integer not null,
    external_id text,
    phone_e164 text,
    email text,
    first_name text,
    last_name text,
    company text,
    lead_source text,
    tags text[] not null,
    custom_fields jsonb not null,
    time_zones text[],
    suppressed_channels text[] not null,
    other_addresses text[] not null,
    is_dnc boolean not null,
    id uuid not null default uuidv7()
) on commit drop;

-- Rows whose contact is known or has several rows; of a row that is not here, its own contact is made.
create temporary table row_persons (
    line_number integer not null,
    person_id uuid not null,
    is_known boolean not null,
    phone_is_of_other boolean not null,
    email_is_of_other boolean not null
) on commit drop
