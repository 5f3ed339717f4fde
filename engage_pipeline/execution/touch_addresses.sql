-- touch_addresses: one contact of an address for each action of a flow, until the flow may be entered again
-- Gives the logs that may be sent. The unique key decides between two runs too; it is locked in order, so that they cannot
-- wait for each other in a ring. A touch whose log was skipped after all is given away.
with given as (
    select
        action_log_id,
        contact_id,
        flow_id,
        action_order,
        sha256(convert_to(address, 'UTF8')) as address_sha256,
        held_until
    from unnest(
        %(action_log_ids)b::uuid[],
        %(contact_ids)b::uuid[],
        %(flow_ids)b::uuid[],
        %(action_orders)s::int[],
        %(addresses)b::text[],
        %(held_untils)s::timestamptz[]
    ) as touch (action_log_id, contact_id, flow_id, action_order, address, held_until)
),

first_of_address as (
    select distinct on (flow_id, action_order, address_sha256) *
    from given
    order by flow_id, action_order, address_sha256, action_log_id
)

insert into address_touches as touches (
    flow_id, action_order, address_sha256, contact_id, action_log_id, touched_at, held_until
)
select
    flow_id,
    action_order,
    address_sha256,
    contact_id,
    action_log_id,
    %(now)s,
    coalesce(held_until, 'infinity')
from first_of_address
order by flow_id, action_order, address_sha256
on conflict (flow_id, action_order, address_sha256) do update
set
    contact_id = excluded.contact_id,
    action_log_id = excluded.action_log_id,
    touched_at = excluded.touched_at,
    held_until = excluded.held_until
where
    touches.contact_id = excluded.contact_id
    or touches.held_until <= excluded.touched_at
    or exists (
        select 1
        from flow_action_logs as logs
        where logs.id = touches.action_log_id and logs.status = 'skipped'
    )
returning action_log_id
