-- stage_contacts: a session's own table for the known contacts that a lead file changes; gone at the commit
create temporary table changed_contacts (
    id uuid primary key,
    source_system text,
    external_id text,
    phone_e164 text,
    email text,
    first_name text,
    last_name text,
    company text,
    lead_source text,
    tags text[] not null,
    custom_fields jsonb not null,
    suppressed_channels text[] not null
) on commit drop
