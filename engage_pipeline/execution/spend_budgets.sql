-- spend_budgets: the moments that a claim has promised are taken; an account that gave nothing is left alone for a while
-- Held by the draw of the same transaction. Held back: until the next day at its cap, else for %(wait_seconds)s.
update channel_budgets as budgets
set
    next_free_at = case
        when budgets.requests_per_second is null then budgets.next_free_at
        else greatest(budgets.next_free_at, %(now)s)
            + make_interval(secs => (spent.count / (budgets.requests_per_second * budgets.pace))::float8)
    end,
    day = (%(now)s at time zone 'UTC')::date,
    day_count = spent.count
    + case when budgets.day = (%(now)s at time zone 'UTC')::date then budgets.day_count else 0 end,
    held_until = case
        when spent.allowed > 0 then budgets.held_until
        when
            budgets.day = (%(now)s at time zone 'UTC')::date and budgets.day_count >= budgets.daily_cap
            then (date_trunc('day', %(now)s at time zone 'UTC') + interval '1 day') at time zone 'UTC'
        else greatest(budgets.held_until, %(now)s + make_interval(secs => %(wait_seconds)s))
    end
from unnest(%(account_ids)s::uuid[], %(counts)s::int[], %(allowed)s::int[]) as spent (account_id, count, allowed)
where budgets.account_id = spent.account_id
