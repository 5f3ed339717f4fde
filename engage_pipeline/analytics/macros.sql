-- The 95 % Wilson interval of `successes` in `trials`, kept in the warehouse's file so that every query can use it.
-- Wilson (1927), in counts: (2s + z² -/+ z·sqrt(z² + 4s(n-s)/n)) / 2(n + z²). The upper end is one minus the lower end for
-- the failures, which is the same number and, unlike the plus sign, never exceeds 1 by a rounding error.
-- 1.959963984540054 standard deviations, to the last digit of a double: the middle 95 % of a normal distribution.
create or replace macro wilson_low(successes, trials) as
case
    when trials > 0 then greatest(
        0,
        (
            2 * successes + 1.959963984540054::double ^ 2
            - 1.959963984540054::double
            * sqrt(1.959963984540054::double ^ 2 + 4.0::double * successes * (trials - successes) / trials)
        ) / (2 * (trials + 1.959963984540054::double ^ 2))
    )
end;

create or replace macro wilson_high(successes, trials) as
1 - wilson_low(trials - successes, trials);
