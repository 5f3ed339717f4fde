-- plan_budget: what each channel of a tenant may send, and what its actions took and cost lately
-- Actions for each contact are those of the last 30 days, by all contacts that came; without any, one for each channel that
-- an enabled flow uses.
with used as (
    select distinct actions.action_type as channel
    from auto_engagement_flows as flows
    inner join flow_actions as actions on flows.id = actions.flow_id
    where flows.user_id = %(user_id)s and flows.is_enabled and actions.action_type <> 'wait'
),

lately as (
    select
        logs.action_type as channel,
        count(*) filter (where logs.attempt_count > 0) as action_count,
        avg(logs.cost_cents) as cost_cents,
        avg(extract(epoch from logs.outcome_at - logs.accepted_at)) filter (
            where logs.outcome <> 'accepted'
        ) as open_seconds
    from flow_action_logs as logs
    inner join flow_executions as executions on logs.execution_id = executions.id
    where executions.user_id = %(user_id)s and logs.created_at > %(now)s - interval '30 days'
    group by logs.action_type
),

contacts_lately as (
    select count(*) as contact_count
    from contacts
    where user_id = %(user_id)s and created_at > %(now)s - interval '30 days'
)

select
    accounts.channel,
    accounts.provider,
    accounts.mode,
    case
        when contacts_lately.contact_count > 0 and lately.action_count > 0
            then lately.action_count::float8 / contacts_lately.contact_count
        when used.channel is not null then 1.0
        else 0.0
    end as actions_a_contact,
    (budgets.requests_per_second * budgets.pace)::float8 as requests_per_second,
    least(budgets.in_flight_cap, budgets.stated_in_flight_cap) as in_flight_cap,
    budgets.daily_cap,
    lately.cost_cents::float8 as cost_cents,
    lately.open_seconds::float8 as open_seconds
from channel_accounts as accounts
inner join channel_budgets as budgets on accounts.id = budgets.account_id
cross join contacts_lately
left join used on accounts.channel = used.channel
left join lately on accounts.channel = lately.channel
where accounts.user_id = %(user_id)s and accounts.is_active
order by accounts.channel
