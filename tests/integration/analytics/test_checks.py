"""Each check of the warehouse passes on what a build made, and fails on what it is there to notice."""

import duckdb
import pytest

from engage_pipeline.analytics.checks import run_checks
from engage_pipeline.analytics.models import MODELS_FOLDER, load_models

NOBODY = "'00000000-0000-0000-0000-000000000000'::uuid"
DAMAGES = {
    (
        "flow_success_rates",
        "key_is_unique_and_not_null",
    ): "insert into flow_success_rates from flow_success_rates limit 1",
    ("provider_cost", "key_is_unique_and_not_null"): "update provider_cost set send_date = null",
    ("fct_contacts", "key_is_unique_and_not_null"): "update fct_contacts set contact_id = null",
    ("channel_performance", "user_id_exists"): f"update channel_performance set user_id = {NOBODY}",
    ("failure_reasons", "flow_id_exists"): f"update failure_reasons set flow_id = {NOBODY}",
    ("flow_success_rates", "rates_within_bounds"): "update flow_success_rates set success_rate = 1.01",
    ("daily_engagement", "rates_within_bounds"): "update daily_engagement set reach_rate_low = reach_rate + 0.01",
    ("engagement_funnel", "never_grows"): "update engagement_funnel set contact_count = 99 where stage = 'reached'",
    ("hourly_heatmap", "agrees_with_the_actions"): "update hourly_heatmap set reached_count = reached_count + 1",
    ("lead_source_performance", "agrees_with_the_actions"): "delete from lead_source_performance",
    ("stg_rejected_rows", "balances_with_postgresql"): "delete from raw.rejected_rows",
    ("dim_executions", "has_every_row"): "delete from dim_executions",
    ("fct_contacts", "has_every_row"): "insert into fct_contacts from fct_contacts",
    ("fct_actions", "has_every_row"): "delete from fct_actions where channel = 'email'",
}


@pytest.fixture
def built(build, history):
    for lead_source in (None, "web"):
        history.walk(
            "Brightway Homes",
            "Welcome",
            [("ai_call", ("success", "answered")), ("wait", "success"), ("email", ("failed", "bounced"))],
            lead_source=lead_source,
        )
    history.walk("Brightway Homes", "Welcome", [("ai_call", "success")], is_test_run=True)
    history.upload("Brightway Homes", {"no_address": 2})
    return build()


def test_each_check_fails_on_what_it_is_there_for_and_only_then(built):
    models = load_models(MODELS_FOLDER)
    counts = {name.removeprefix("raw."): count for name, count in built.row_counts.items() if name.startswith("raw.")}
    with duckdb.connect(built.path) as warehouse:
        results = {(each.model, each.name): each.passed for each in run_checks(warehouse, models, counts)}
        assert all(results.values())
        assert {name for _, name in results} == {name for _, name in DAMAGES}
        for check, damage in DAMAGES.items():
            warehouse.begin()
            warehouse.execute(damage)
            failed = {(each.model, each.name) for each in run_checks(warehouse, models, counts) if not each.passed}
            warehouse.rollback()
            assert check in failed, damage
