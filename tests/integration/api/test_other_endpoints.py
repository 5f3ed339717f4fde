"""Templates, suppressions, pauses, batches, planning, test runs, unknown results, health and figures."""

from pathlib import Path

import pytest

from engage_pipeline.execution.brake import pause
from tests.integration.api.conftest import EXECUTIONS, FLOWS, Api, flow
from tests.integration.api.world import make_theirs

WELCOME = {"content": {"subject": "Hello {{ first_name }}", "text": "Welcome."}, "defaults": {"first_name": "there"}}


def test_a_saved_template_has_versions_and_a_preview(api: Api):
    path = "/api/templates/email/welcome"
    assert api.call("PUT", path, json=WELCOME).json()["version"] == 1
    assert api.call("PUT", path, json=WELCOME).json()["version"] == 1
    changed = {**WELCOME, "content": {**WELCOME["content"], "text": "Welcome back."}}
    assert api.call("PUT", path, json=changed).json()["version"] == 2
    assert api.get(path, params={"version": 1}).json()["content"]["text"] == "Welcome."
    assert [(each["name"], each["version"]) for each in api.get("/api/templates").json()] == [("welcome", 2)]
    api.new_contact("ada@example.com")
    seen = api.post(f"{path}/preview", {"contact": "ada@example.com"}, role="viewer").json()
    assert seen["content"] == {"subject": "Hello Ada", "text": "Welcome back."}
    assert api.post(f"{path}/preview", {"contact": "bob@example.com"}).json()["code"] == "no-contact"


def test_a_template_that_breaks_a_rule_is_refused(api: Api):
    answer = api.call("PUT", "/api/templates/email/x", json={"content": {"subject": "{{ shoe_size }}", "text": "x"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-template")


def test_addresses_are_suppressed_all_or_none(api: Api):
    contact_id = api.new_contact("ada@example.com")
    execution_id = api.new_execution(api.new_flow(), contact_id)
    wrong = [{"channel": "email", "address": "ada@example.com"}, {"channel": "ai_call", "address": "12"}]
    refused = api.post("/api/suppressions", {"addresses": wrong})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "addresses[1].address")
    assert api.get("/api/suppressions").json()["items"] == []
    right = [{"channel": "email", "address": "ADA@example.com"}, {"channel": "ai_call", "address": "(202) 555-0171"}]
    done = api.post("/api/suppressions", {"addresses": right, "source": "support"})
    assert done.json() == {"address_count": 2, "skipped_action_count": 1}
    listed = api.get("/api/suppressions").json()["items"]
    assert [(each["channel"], each["address"]) for each in listed] == [
        ("ai_call", "+12025550171"),
        ("email", "ada@example.com"),
    ]
    page = api.get("/api/suppressions", params={"limit": 1}).json()
    rest = api.get("/api/suppressions", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [each["channel"] for each in page["items"] + rest["items"]] == ["ai_call", "email"]
    log = api.get(f"{EXECUTIONS}/{execution_id}").json()["action_logs"][0]
    assert log["skip_reason"] == "suppressed"


def test_sending_is_paused_and_resumed_by_an_admin(api: Api):
    assert api.post("/api/pause", {"reason": "x"}, role="editor").status_code == 403
    on = api.post("/api/pause", {"channel": "ai_call", "reason": "wrong script"}).json()["items"]
    assert [(each["channel"], each["reason"], each["is_for_every_tenant"]) for each in on] == [
        ("ai_call", "wrong script", False)
    ]
    assert api.get("/api/pauses", role="viewer").json()["items"] == on
    assert len(api.post("/api/resume").json()["items"]) == 1
    assert api.post("/api/resume", {"channel": "ai_call"}).json()["items"] == []


def test_a_stopped_template_is_seen_and_resumed_by_an_admin(api: Api):
    for tenant in ("acme", "other"):
        api.connection.execute(
            "insert into stopped_templates (user_id, channel, template_id, reason, stopped_at)"
            " values (%s, 'email', 'welcome', 'it is gone', now())",
            [api.tenant(tenant).user_id],
        )
    execution_id = api.new_execution(api.new_flow("Flow", 1), api.new_contact("ada@example.com"))
    api.connection.execute("update flow_action_logs set is_parked = true where execution_id = %s", [execution_id])
    (stop,) = api.get("/api/stopped-templates", role="viewer").json()["items"]
    assert (stop["channel"], stop["template_id"], stop["reason"]) == ("email", "welcome", "it is gone")
    assert api.post("/api/stopped-templates/resume", {"template_id": "welcome"}, role="editor").status_code == 403
    assert api.post("/api/stopped-templates/resume", {"template_id": "another"}).json()["items"] == [stop]
    assert api.post("/api/stopped-templates/resume", {"template_id": "welcome"}).json() == {"items": []}
    left = api.connection.execute("select user_id from stopped_templates").fetchall()
    assert left == [(api.tenant("other").user_id,)]
    parked = api.connection.execute("select bool_or(is_parked) from flow_action_logs").fetchone()
    assert parked == (False,)


def test_a_pause_of_the_whole_installation_is_seen_and_cannot_be_taken_off(api: Api):
    pause(api.connection, None, None, reason="maintenance")
    shown = api.post("/api/resume").json()["items"]
    assert [(each["reason"], each["is_for_every_tenant"]) for each in shown] == [("maintenance", True)]


def test_a_failed_batch_is_retried_by_its_tenant(api: Api):
    theirs = make_theirs(api)
    path = f"/api/batches/{theirs.ids['batch_id']}/retry"
    assert [each["id"] for each in api.get("/api/batches", tenant="other").json()["items"]] == [theirs.ids["batch_id"]]
    assert api.get("/api/batches").json()["items"] == []
    done = api.post(path, tenant="other")
    assert (done.status_code, done.json()["status"], done.json()["attempt"]) == (200, "waiting", 2)
    again = api.post(path, tenant="other")
    assert (again.status_code, again.json()["code"]) == (409, "not-failed")


def test_lint_finds_a_flow_that_can_never_win(api: Api):
    api.new_flow("First", 0, trigger_conditions=[])
    api.new_flow("Second", 1, trigger_conditions=[])
    report = api.post(f"{FLOWS}/lint", role="viewer").json()
    assert [each["flow"] for each in report["never_wins"]] == ["Second"]
    given = api.post(f"{FLOWS}/lint", {"flows": [flow("Alone", 0)], "days": 1}).json()
    assert (given["flow_count"], given["never_wins"]) == (1, [])


def test_a_plan_shows_what_would_change_and_changes_nothing(api: Api):
    api.new_flow("Old", 0)
    api.new_contact("ada@example.com")
    said = api.post(f"{FLOWS}/plan", {"flows": [flow("New", 1, trigger_conditions=[])], "prune": True}).json()
    assert [(each["kind"], each["flow"]) for each in said["changes"]] == [("created", "New"), ("deleted", "Old")]
    assert said["impact"]["contact_count"] == 1
    assert [each["name"] for each in api.get(FLOWS).json()["items"]] == ["Old"]
    assert api.post(f"{FLOWS}/plan", {"flows": [flow("New", 0)]}).json()["code"] == "priority-taken"


def test_an_explanation_goes_through_the_conditions_of_the_tenants_flows(api: Api):
    api.new_flow("Websites", 0)
    api.new_flow("Everyone", 1, trigger_conditions=[])
    api.new_flow("Theirs", 0, tenant="other")
    contact_id = api.new_contact("ada@example.com")
    said = api.get(f"/api/contacts/{contact_id}/explanation").json()
    assert (said["winner"], said["reason"]) == ("Everyone", "matched")
    assert [each["flow_name"] for each in said["flows"]] == ["Websites", "Everyone"]


def test_a_forecast_walks_recent_contacts_and_writes_nothing(api: Api):
    api.new_flow("Everyone", 0, trigger_conditions=[])
    for number in range(5):
        api.new_contact(f"lead{number}@example.com")
    said = api.post(f"{FLOWS}/simulate", {"days": 7}, role="viewer").json()
    assert (said["contacts"], said["reasons"]) == (5, {"matched": 5})
    assert api.connection.execute("select count(*) from flow_executions").fetchone() == (0,)


def test_a_test_run_is_an_execution_that_says_so(api: Api):
    flow_id, contact_id = api.new_flow(), api.new_contact("ada@example.com")
    answer = api.post(f"{FLOWS}/{flow_id}/test-runs", {"contact_id": str(contact_id)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["is_test_run"] is True
    assert [log["status"] for log in answer.json()["action_logs"]] == ["pending"]


def test_an_unknown_action_is_resolved_by_a_person(api: Api):
    execution_id = api.new_execution(api.new_flow(), api.new_contact("ada@example.com"))
    [(log_id,)] = api.connection.execute("select id from flow_action_logs").fetchall()
    path = f"/api/auto-engagement/action-logs/{log_id}/resolve"
    early = api.post(path, {"outcome": "delivered"})
    assert (early.status_code, early.json()["code"]) == (409, "not-unknown")
    api.connection.execute("update flow_executions set status = 'running'")
    for status in ("sending", "unknown"):
        api.connection.execute("update flow_action_logs set status = %s", [status])
    answer = api.post(path, {"outcome": "delivered"}).json()
    assert (answer["id"], answer["status"]) == (str(execution_id), "completed")
    assert answer["action_logs"][0]["outcome"] == "delivered"


@pytest.fixture
def warehouse(api: Api) -> Path:
    """A published warehouse with an execution of each of two tenants."""
    for tenant in ("acme", "other"):
        flow_id = api.new_flow(f"Flow of {tenant}", tenant=tenant)
        api.new_execution(flow_id, api.new_contact("ada@example.com", tenant=tenant), tenant=tenant)
    api.publish_warehouse()
    return api.settings.warehouse


def test_statistics_of_a_flow_come_from_the_warehouse(api: Api, warehouse: Path):
    (mine,) = api.get(FLOWS).json()["items"]
    said = api.get(f"{FLOWS}/{mine['id']}/statistics").json()
    assert said["as_of"] is not None
    assert said["executions"]["pending"] == 1
    assert [(each["channel"], each["open_count"]) for each in said["channels"]] == [("email", 1)]
    fresh = api.new_flow("Later", 5)
    assert api.get(f"{FLOWS}/{fresh}/statistics").json()["channels"] == []


def test_statistics_before_the_first_build_are_empty(api: Api):
    flow_id = api.new_flow()
    said = api.get(f"{FLOWS}/{flow_id}/statistics").json()
    assert (said["as_of"], said["channels"], sum(said["executions"].values())) == (None, [], 0)
    assert api.get("/api/statistics/channel_performance").status_code == 503


def test_every_mart_shows_the_tenants_rows_only(api: Api, warehouse: Path):
    listed = api.get("/api/statistics").json()
    assert len(listed) == 12
    for mart in listed:
        mine = api.get(f"/api/statistics/{mart['name']}")
        assert mine.status_code == 200, mine.text
        assert "other" not in mine.text
        assert all("user_id" not in row for row in mine.json()["items"])
    rates = api.get("/api/statistics/flow_success_rates").json()["items"]
    assert [each["flow_name"] for each in rates] == ["Flow of acme"]
    assert api.get("/api/statistics/nothing").json()["code"] == "unknown-mart"
    assert api.get("/api/statistics/stg_contacts").status_code == 404


def test_a_warehouse_that_is_published_anew_is_read_anew(api: Api, warehouse: Path):
    before = api.get("/api/statistics/flow_success_rates").json()["as_of"]
    api.publish_warehouse()
    assert api.get("/api/statistics/flow_success_rates").json()["as_of"] > before


@pytest.mark.parametrize(("kind", "begins"), [("csv", b"user_id,"), ("parquet", b"PAR1"), ("xlsx", b"PK")])
def test_exports_hold_the_tenants_rows_only(api: Api, warehouse: Path, kind: str, begins: bytes):
    answer = api.get("/api/exports/flow_success_rates", params={"format": kind})
    assert answer.status_code == 200
    assert answer.content.startswith(begins)
    assert b"Flow of other" not in answer.content
    assert f"flow_success_rates.{kind}" in answer.headers["content-disposition"]
    if kind == "csv":
        assert b"Flow of acme" in answer.content
    assert api.get("/api/exports/contacts").status_code == 404


def test_health_says_what_is_not_well(api: Api):
    assert api.client.get("/api/health/live").json() == {"status": "alive"}
    answer = api.client.get("/api/health")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "checks": {"database": "ok", "migrations": "ok", "daemon": "Dagster has never run here"},
    }


@pytest.mark.parametrize(("seconds", "status"), [(5, 200), (600, 503)])
def test_a_daemon_that_reports_makes_the_installation_ready(api: Api, seconds: int, status: int):
    api.report_of_daemon(seconds)
    answer = api.client.get("/api/health")
    assert answer.status_code == status
    assert (answer.json()["status"] == "ready") is (status == 200)


def test_figures_are_for_admins_and_name_templates_of_paths(api: Api):
    flow_id = api.new_flow()
    api.get(f"{FLOWS}/{flow_id}")
    assert api.get("/metrics", role="editor").status_code == 403
    text = api.get("/metrics").text
    assert (
        'engage_api_requests_total{method="GET",path="/api/auto-engagement/flows/{flow_id}",status="200"} 1.0' in text
    )
    assert str(flow_id) not in text
    assert "engage_api_pool_size" in text
