"""Every mart against an independent computation with pandas from the raw tables, and every interval against SciPy."""

import random
from datetime import timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from scipy.stats import binomtest

from engage_pipeline.analytics.models import MODELS_FOLDER, load_models
from engage_pipeline.analytics.read import open_warehouse, query
from tests.integration.analytics.conftest import STARTED_AT, History

MARTS = [model.name for model in load_models(MODELS_FOLDER) if model.layer == "marts"]
CHANNELS = ("ai_call", "whatsapp_message", "email")
TOLD = {
    "ai_call": ("answered", "voicemail", "no_answer", "busy", "opted_out", "expired", "accepted", "refused"),
    "whatsapp_message": ("delivered", "read", "failed", "opted_out", "expired", "accepted", "refused"),
    "email": ("delivered", "opened", "bounced", "complained", "opted_out", "expired", "accepted", "refused"),
}
SUCCESSES = {"answered", "delivered", "read", "opened", "accepted"}
ZONES = {"Brightway Homes": "America/New_York", "Northlight Solar": "Asia/Kolkata"}
STAGES = ("uploaded", "contactable", "matched", "started", "attempted", "accepted", "reached", "succeeded")
RATES = {
    "acceptance_rate": ("accepted_count", "attempted_count"),
    "reach_rate": ("reached_count", "outcome_known_count"),
    "success_rate": ("succeeded_count", "outcome_known_count"),
    "pass_rate": ("contact_count", "previous_count"),
    "reason_rate": ("action_count", "flow_channel_count"),
    "reject_rate": ("rows_rejected", "rows_read"),
}


def write_history(history: History, rng: random.Random) -> None:
    for tenant, zone in ZONES.items():
        history.tenant(tenant, time_zone=zone)
        for reason in ("no_match", "dnc", "suppressed", "unreachable"):
            history.assign(tenant, history.contact(tenant, phone="+12025550143"), reason)
        history.contact(tenant, phone="+12025550144")
        history.contact(tenant)
        history.contact(tenant, email="a@example.com", tags=["dnc"])
        history.upload(tenant, {"no_address": 3, "test_lead": 2}, rows_inserted=rng.randint(20, 60))
    for number in range(150):
        tenant = rng.choice(list(ZONES))
        told = []
        for channel in rng.sample(CHANNELS, rng.randint(1, 3)):
            outcome = rng.choice(TOLD[channel])
            status = "success" if outcome in SUCCESSES else "failed"
            told.append((channel, rng.choice([(status, outcome)] * 5 + [("sent", "accepted"), "pending", "unknown"])))
        if number % 7 == 0:
            told += [("wait", "success"), ("ai_call", "skipped")]
        history.walk(
            tenant,
            rng.choice(("Welcome", "Revive")),
            told,
            is_test_run=number % 10 == 0,
            lead_source=rng.choice((None, "web", "fair")),
            code=rng.choice((None, "131026", "invalid_number")),
            cost_cents=rng.choice((None, 1.25, 3.7)),
            call_seconds=rng.choice((None, 12.5, 80)),
            sent_at=STARTED_AT + timedelta(minutes=rng.randint(0, 6000)),
        )


@pytest.fixture
def frames(history, connection, build):
    """The raw tables as pandas reads them from PostgreSQL, and the warehouse built of them."""
    write_history(history, random.Random(7))
    build()

    def frame(statement):
        cursor = connection.execute(statement)
        return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])

    logs = frame(
        "select l.id as action_log_id, e.user_id, e.flow_id, e.flow_version, e.contact_id, l.action_order,"
        " l.action_type as channel, l.status, l.outcome, l.executed_at, l.accepted_at, l.skip_reason,"
        " l.result_data ->> 'code' as code, l.cost_cents::float8 as cost, l.call_seconds::float8 as seconds,"
        " c.lead_source, c.created_at as contact_created_at, u.time_zone"
        " from flow_action_logs l join flow_executions e on e.id = l.execution_id join contacts c on c.id ="
        " e.contact_id join users u on u.id = e.user_id where not e.is_test_run and l.action_type <> 'wait'"
    )
    return with_meanings(logs), frame


def with_meanings(logs: pd.DataFrame) -> pd.DataFrame:
    """The issue's definitions, read row by row."""

    def meaning(log):
        attempted = log.status in ("sent", "success", "failed") and pd.notna(log.executed_at)
        accepted = attempted and pd.notna(log.accepted_at)
        known = accepted and log.status != "sent" and log.outcome not in (None, "accepted")
        arrived = {"complained", "opted_out"}
        arrived |= {
            "ai_call": {"answered", "voicemail"},
            "whatsapp_message": {"delivered", "read"},
            "email": {"delivered", "opened"},
        }[log.channel]
        reached = known and log.outcome in arrived
        good = {"answered"} if log.channel == "ai_call" else arrived - {"complained", "opted_out"}
        sent = log.executed_at.astimezone(ZoneInfo(log.time_zone)) if pd.notna(log.executed_at) else None
        return {
            "attempted_count": attempted,
            "accepted_count": accepted,
            "outcome_known_count": known,
            "reached_count": reached,
            "succeeded_count": reached and log.outcome in good,
            "still_out_count": log.status == "sent",
            "no_feed_count": accepted and log.status == "success" and log.outcome == "accepted",
            "unknown_count": log.status == "unknown",
            "open_count": log.status in ("pending", "sending"),
            "skipped_count": log.status == "skipped",
            "voicemail_count": known and log.outcome == "voicemail",
            "complained_count": known and log.outcome == "complained",
            "opted_out_count": known and log.outcome == "opted_out",
            "costed_count": pd.notna(log.cost),
            "send_date": sent and sent.date(),
            "send_weekday": sent and sent.isoweekday(),
            "send_hour": sent and sent.hour,
        }

    return logs.join(pd.DataFrame([meaning(log) for log in logs.itertuples()], index=logs.index, dtype=object))


RATE_COUNTS = ["attempted_count", "accepted_count", "outcome_known_count", "reached_count", "succeeded_count"]
RATE_COUNTS += ["still_out_count", "no_feed_count"]
APART = ["unknown_count", "open_count", "skipped_count"]


COUNTED = {
    "flow_success_rates": (["user_id", "flow_id", "channel"], APART),
    "action_success_rates": (["user_id", "flow_id", "flow_version", "action_order", "channel"], APART),
    "channel_performance": (["user_id", "channel"], [*APART, "voicemail_count", "complained_count"]),
    "lead_source_performance": (["user_id", "lead_source"], APART),
    "daily_engagement": (["user_id", "channel", "send_date"], []),
    "hourly_heatmap": (["user_id", "channel", "send_weekday", "send_hour"], []),
}


def test_the_counts_of_every_mart_are_those_that_pandas_finds(frames, path):
    logs, _ = frames
    logs = logs.assign(lead_source=logs["lead_source"].fillna("not stated"))
    for mart, (keys, more) in COUNTED.items():
        of_mart = logs[logs["send_date"].notna()] if {"send_date", "send_hour"} & {*keys} else logs
        counts = [*RATE_COUNTS, *more]
        expected = of_mart.groupby(keys)[counts].sum().astype(int)
        found = query(path, f"select {', '.join([*keys, *counts])} from {mart}").rows
        assert len(found) > 3
        assert {row[: len(keys)]: row[len(keys) :] for row in found} == {
            key: tuple(row) for key, row in zip(expected.index, expected.to_numpy(), strict=True)
        }, mart


def test_costs_and_seconds_are_summed_by_the_day_of_sending(frames, path):
    logs, _ = frames
    sent = logs[logs["send_date"].notna()]
    expected = sent.groupby(["user_id", "channel", "send_date"])[["cost", "seconds"]].sum().reset_index()
    found = query(path, "select user_id, channel, send_date, cost_cents, call_seconds from provider_cost").rows
    assert {row[:3]: row[3:] for row in found} == {
        row[:3]: pytest.approx(row[3:]) for row in expected.itertuples(index=False, name=None)
    }


def test_the_funnel_counts_contacts_that_passed_every_stage_before(frames, path):
    logs, frame = frames
    contacts = frame("select id, user_id, phone_e164, email, is_dnc from contacts")
    assignments = frame("select contact_id, reason from flow_assignments")
    started = set(frame("select contact_id from flow_executions where not is_test_run")["contact_id"])
    expected = {}
    for user_id, group in contacts.groupby("user_id"):
        stages = dict.fromkeys(STAGES, 0)
        for contact in group.itertuples():
            reasons = set(assignments.loc[assignments["contact_id"].eq(contact.id), "reason"])
            own = logs[logs["contact_id"].eq(contact.id)]
            has_address = pd.notna(contact.phone_e164) or pd.notna(contact.email)
            passed = [
                True,
                bool(reasons - {"dnc", "suppressed", "unreachable"}) if reasons else not contact.is_dnc and has_address,
                "matched" in reasons,
                contact.id in started,
                *(bool(own[f"{stage}_count"].any()) for stage in ("attempted", "accepted", "reached", "succeeded")),
            ]
            for stage, did_pass in zip(stages, passed, strict=True):
                if not did_pass:
                    break
                stages[stage] += 1
        expected |= {(user_id, stage): count for stage, count in stages.items()}
    found = query(path, "select user_id, stage, contact_count from engagement_funnel").rows
    assert {row[:2]: row[2] for row in found} == expected


def test_the_time_to_the_first_touch_has_the_quantiles_of_pandas(frames, path):
    logs, _ = frames
    first = logs[logs["attempted_count"].astype(bool)].sort_values(["executed_at", "action_log_id"])
    first = first.drop_duplicates("contact_id")
    seconds = (first["executed_at"] - first["contact_created_at"]).dt.total_seconds()
    quantiles = seconds.groupby([first["user_id"], first["flow_id"]]).quantile([0.5, 0.9, 0.99]).unstack()
    found = query(path, "select user_id, flow_id, p50_seconds, p90_seconds, p99_seconds from time_to_first_touch").rows
    assert {row[:2]: row[2:] for row in found} == {
        key: pytest.approx(tuple(values)) for key, values in zip(quantiles.index, quantiles.to_numpy(), strict=True)
    }


def test_failure_reasons_name_the_code_then_the_outcome_then_the_rule(frames, path):
    logs, _ = frames
    ended = logs[logs["status"].isin(["failed", "skipped"])]
    reason = ended["code"].fillna(ended["outcome"]).where(ended["status"].eq("failed"), ended["skip_reason"])
    expected = ended.groupby(["user_id", "flow_id", "channel", "status", reason.rename("reason")]).size()
    found = query(
        path, "select user_id, flow_id, channel, action_status, reason, action_count from failure_reasons"
    ).rows
    assert {row[:5]: row[5] for row in found} == expected.to_dict()


def test_upload_quality_counts_the_quarantine(frames, path):
    _, frame = frames
    uploads = frame("select id, user_id, rows_read, rows_rejected from lead_uploads")
    found = query(
        path,
        "select upload_id, user_id, rows_read, rows_rejected, top_reject_reason, top_reject_count, load_seconds"
        " from upload_quality",
    ).rows
    expected = [(*row, "no_address", 3, 3.0) for row in uploads.itertuples(index=False, name=None)]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_the_timeline_has_one_row_an_action_from_its_contact_to_its_outcome(frames, path):
    _, frame = frames
    expected = frame(
        "select l.id, e.user_id, c.id, l.action_type, e.is_test_run, c.created_at, a.assigned_at, l.executed_at,"
        " l.outcome from flow_action_logs l join flow_executions e on e.id = l.execution_id join contacts c on c.id ="
        " e.contact_id join flow_assignments a on a.contact_id = c.id and a.micro_batch_id = e.micro_batch_id"
    )
    found = query(
        path,
        "select action_log_id, user_id, contact_id, action_type, is_test_run, contact_created_at, assigned_at,"
        " sent_at, outcome from execution_timeline",
    ).rows
    assert len(found) == len(expected)
    instants = {row[0]: tuple(map(str, row[1:])) for row in found}
    for row in expected.astype(object).where(expected.notna(), None).itertuples(index=False, name=None):
        assert instants[row[0]] == tuple(map(str, row[1:]))


def test_one_definition_gives_one_number_in_every_mart(frames, path):
    totals = {
        mart: query(
            path,
            f"select user_id, {', '.join(f'sum({name})' for name in RATE_COUNTS)} from {mart} group by all order by 1",
        ).rows
        for mart in (
            "flow_success_rates",
            "action_success_rates",
            "channel_performance",
            "lead_source_performance",
            "daily_engagement",
            "hourly_heatmap",
        )
    }
    assert len({repr(rows) for rows in totals.values()}) == 1, totals
    costs = "select user_id, sum(accepted_count), sum(succeeded_count) from provider_cost group by all order by 1"
    assert query(path, costs).rows == tuple((row[0], row[2], row[5]) for row in totals["daily_engagement"])


def test_every_mart_has_rows_a_tenant_and_intervals_that_scipy_agrees_with(frames, path):
    for mart in MARTS:
        rows = query(path, f"from {mart} limit 200").as_dicts()
        assert rows, mart
        for row in rows:
            assert row["user_id"] is not None
            check_rates(row)


def check_rates(row):
    for rate, (successes, trials) in RATES.items():
        if rate not in row:
            continue
        found = (row[rate], row[f"{rate}_low"], row[f"{rate}_high"])
        if not row[trials]:
            assert found == (None, None, None)
            continue
        interval = binomtest(row[successes], row[trials]).proportion_ci(method="wilson")
        assert found == pytest.approx((row[successes] / row[trials], interval.low, interval.high), abs=1e-12)
        enough = "acceptance_enough_data" if rate == "acceptance_rate" else "enough_data"
        assert row[enough] is (row[trials] >= 30)


def test_the_interval_macros_are_wilsons(build, path):
    build()
    cases = [(0, 1), (1, 1), (0, 40), (40, 40), (1, 40), (20, 40), (81, 263), (999_999, 1_000_000)]
    with open_warehouse(path) as warehouse:
        assert warehouse.execute("select wilson_low(0, 0), wilson_high(0, 0)").fetchall() == [(None, None)]
        for successes, trials in cases:
            interval = binomtest(successes, trials).proportion_ci(method="wilson")
            (found,) = warehouse.execute(
                f"select wilson_low({successes}, {trials}), wilson_high({successes}, {trials})"
            ).fetchall()
            assert found == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_a_lead_source_that_looks_like_a_person_is_not_taken(build, path, history):
    for source in ("lee@example.com", "+1 202 555 0143", "Web form 2026"):
        history.contact("Brightway Homes", lead_source=source)
    build()
    found = query(path, "select lead_source from stg_contacts order by 1").rows
    assert found == (("Web form 2026",), (None,), (None,))
