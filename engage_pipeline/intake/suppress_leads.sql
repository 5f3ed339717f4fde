-- suppress_leads: every address that rows give for a person who said no: in that row, in another one or long ago
-- reads: lead_rows, row_persons, merged_contacts, writes: suppressions
-- An older wish for the same address stands.
with refusing as (
    select
        case
            when lead_rows.is_dnc then array['ai_call', 'whatsapp_message', 'email']
            else lead_rows.suppressed_channels
        end as channels,
        lead_rows.suppressed_channels as stated,
        array[lead_rows.phone_e164, lead_rows.email] || lead_rows.other_addresses as addresses
    from lead_rows
    left join row_persons on lead_rows.line_number = row_persons.line_number
    where row_persons.line_number is null and (lead_rows.is_dnc or lead_rows.suppressed_channels <> '{}')
    union all
    select
        merged.refused_channels,
        lead_rows.suppressed_channels,
        array[lead_rows.phone_e164, lead_rows.email, merged.phone_e164, merged.email] || lead_rows.other_addresses
    from merged_contacts as merged
    inner join row_persons on merged.person_id = row_persons.person_id
    inner join lead_rows on row_persons.line_number = lead_rows.line_number
    where merged.refused_channels <> '{}'
),

wishes as (
    select
        wish.channel,
        held.address,
        bool_or(wish.channel = any(refusing.stated)) as is_stated
    from refusing
    cross join lateral unnest(refusing.channels) as wish (channel)
    cross join lateral unnest(refusing.addresses) as held (address)
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
