"""Every mart against an independent computation with pandas from the raw tables, and every interval against SciPy."""

import random
from datetime import timedelta

import pandas as pd
import pytest
from scipy.stats import binomtest

from engage_pipeline.analytics.models import MODELS_FOLDER, load_models
from engage_pipeline.analytics.read import open_warehouse, query
from tests.integration.analytics.conftest import STARTED_AT, History
from tests.integration.analytics.marts_by_pandas import (
    CHANNELS,
    IN_RATES,
    RATES,
    assert_same_rows,
    check_rates,
    marts_by_pandas,
    read_raw,
)

MARTS = [model for model in load_models(MODELS_FOLDER) if model.layer == "marts"]
TOLD = {
    "ai_call": ("answered", "voicemail", "no_answer", "busy", "opted_out", "expired", "accepted", "refused"),
    "whatsapp_message": ("delivered", "read", "failed", "opted_out", "expired", "accepted", "refused"),
    "email": ("delivered", "opened", "bounced", "complained", "opted_out", "expired", "accepted", "refused"),
}
SUCCESSES = {"answered", "delivered", "read", "opened", "accepted"}
ZONES = {"Brightway Homes": "America/New_York", "Northlight Solar": "Asia/Kolkata"}


def write_history(history: History, rng: random.Random) -> None:
    """Something of everything, for two tenants in two zones."""
    for tenant, zone in ZONES.items():
        history.tenant(tenant, time_zone=zone)
        for reason in ("no_match", "dnc", "suppressed", "unreachable"):
            flow = "Welcome" if reason in ("suppressed", "unreachable") else None
            history.assign(tenant, history.contact(tenant, phone="+12025550143"), reason, flow=flow)
        history.contact(tenant, phone="+12025550144")
        history.contact(tenant)
        history.contact(tenant, email="a@example.com", tags=["dnc"])
        upload_id = history.upload(tenant, {"no_address": 3, "test_lead": 3}, rows_inserted=rng.randint(20, 60))
        history.upload(tenant, {})
        uploaded = history.contact(tenant, email="b@example.com", lead_source="lee@example.com", upload_id=upload_id)
        history.walk(tenant, "Welcome", [("email", ("success", "opened"))], contact_id=uploaded)
        refused = history.contact(tenant, phone="+12025550145", email="c@example.com")
        history.connection.execute(
            "update contacts set suppressed_channels = '{ai_call,whatsapp_message,email}' where id = %s", (refused,)
        )
    for number in range(150):
        tenant = rng.choice(list(ZONES))
        told = []
        for channel in rng.sample(CHANNELS, rng.randint(1, 3)):
            outcome = rng.choice(TOLD[channel])
            status = "success" if outcome in SUCCESSES else "failed"
            waits = [("sent", "accepted"), ("sent", "delivered" if channel == "whatsapp_message" else "accepted")]
            told.append((channel, rng.choice([(status, outcome)] * 6 + [*waits, "pending", "unknown"])))
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
    history.connection.execute(
        "update flow_action_logs set result_data = '{\"codes\": [131026, 131049]}'"
        " where action_type = 'whatsapp_message' and outcome = 'failed' and result_data = '{}'"
    )
    # Some walked another version of their flow, and one flow is no more.
    history.connection.execute(
        "insert into flow_versions (flow_id, version, definition) select flow_id, 2, '{}' from flow_versions"
    )
    history.connection.execute(
        "update flow_executions set flow_version = 2 where id in (select id from flow_executions order by id limit 60)"
    )
    history.connection.execute(
        "update auto_engagement_flows set deleted_at = now(), priority = null, is_enabled = false where priority = 1"
    )


@pytest.fixture
def raw(history, connection, build):
    """The operational tables as pandas reads them from PostgreSQL, with the warehouse built of them."""
    write_history(history, random.Random(7))
    build()
    return read_raw(connection)


def test_every_number_of_every_mart_is_the_one_that_pandas_finds(raw, path):
    expected = marts_by_pandas(raw)
    assert {*expected} == {mart.name for mart in MARTS}
    for mart in MARTS:
        assert len(expected[mart.name]) > 3, mart.name
        found = query(path, f"from {mart.name}").as_dicts()
        assert_same_rows(pd.DataFrame(found, dtype=object), expected[mart.name], mart.key, mart=mart.name)


def test_the_comparison_with_pandas_sees_one_wrong_number(raw, path):
    (mart,) = [mart for mart in MARTS if mart.name == "channel_performance"]
    found = pd.DataFrame(query(path, f"from {mart.name}").as_dicts(), dtype=object)
    found.loc[2, "reach_rate_low"] += 1e-6
    with pytest.raises(AssertionError, match="reach_rate_low"):
        assert_same_rows(found, marts_by_pandas(raw)[mart.name], mart.key, mart=mart.name)


def test_a_message_that_was_delivered_and_waits_to_be_read_is_reached(build, path, history):
    history.walk("Brightway Homes", "Welcome", [("whatsapp_message", ("sent", "delivered"))])
    history.walk("Brightway Homes", "Welcome", [("whatsapp_message", ("sent", "accepted"))])
    build()
    counts = "outcome_known_count, reached_count, succeeded_count, still_out_count"
    assert query(path, f"select {counts} from flow_success_rates").rows == ((1, 1, 1, 1),)


def test_one_definition_gives_one_number_in_every_mart(raw, path):
    totals = {
        mart: query(
            path,
            f"select user_id, {', '.join(f'sum({name})' for name in IN_RATES)} from {mart} group by all order by 1",
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


def test_every_mart_names_the_tenant_and_every_rate_stands_with_all_that_belongs_to_it(raw, path):
    rates = {*RATES}
    for mart in MARTS:
        assert "user_id" in mart.columns, mart.name
        for rate in {column for column in mart.columns if column.endswith("_rate")}:
            assert rate in RATES, f"{mart.name}.{rate}: say of what it is the share"
            assert {*RATES[rate], f"{rate}_low", f"{rate}_high"} <= {*mart.columns}, (mart.name, rate)
            rates.discard(rate)
        for row in query(path, f"from {mart.name}").as_dicts():
            assert row["user_id"] is not None
            check_rates(row)
    assert not rates


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


def test_a_failure_that_whatsapp_told_of_has_the_first_of_its_codes(raw, path):
    found = query(path, "select reason from failure_reasons where channel = 'whatsapp_message'").rows
    assert ("131026",) in found


def test_a_lead_source_that_looks_like_a_person_is_not_taken(build, path, history):
    for source in ("lee@example.com", "+1 202 555 0143", "Web form 2026"):
        history.contact("Brightway Homes", lead_source=source)
    build()
    found = query(path, "select lead_source from stg_contacts order by 1").rows
    assert found == (("Web form 2026",), (None,), (None,))
