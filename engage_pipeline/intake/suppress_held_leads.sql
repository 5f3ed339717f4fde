-- suppress_held_leads: what the rows of a held file say no to counts at once, though they are no contacts
-- reads: lead_rows, contacts, writes: suppressions
-- A row that gives the id of a known contact speaks for that one's addresses too. An older wish stands.
with refusing as (
    select
        external_id,
        case when is_dnc then array['ai_call', 'whatsapp_message', 'email'] else suppressed_channels end as channels,
        suppressed_channels as stated,
        array[phone_e164, email] || other_addresses as addresses
    from lead_rows
    where is_dnc or suppressed_channels <> '{}'
),

of_contacts as (
    select
        refusing.channels,
        refusing.stated,
        array[contacts.phone_e164, contacts.email] as addresses
    from refusing
    inner join contacts
        on contacts.user_id = %(user_id)s
        and contacts.source_system = %(source_system)s
        and contacts.external_id = refusing.external_id
),

everything as (
    select channels, stated, addresses from refusing
    union all
    select channels, stated, addresses from of_contacts
),

wishes as (
    select
        wish.channel,
        held.address,
        bool_or(wish.channel = any(everything.stated)) as is_stated
    from everything
    cross join lateral unnest(everything.channels) as wish (channel)
    cross join lateral unnest(everything.addresses) as held (address)
    where (wish.channel = 'email') = (position('@' in held.address) > 0)
    group by wish.channel, held.address
)

insert into suppressions (user_id, channel, address, source, created_at)
select
    %(user_id)s,
    channel,
    address,
    case
        when is_stated and channel = 'ai_call' then %(call_source)s
        when is_stated and channel = 'email' then %(email_source)s
        else 'contact'
    end,
    %(now)s
from wishes
on conflict do nothing
