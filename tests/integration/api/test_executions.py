"""The execution endpoints: pages, filters, counts, the timeline, cancelling."""

from datetime import timedelta
from uuid import uuid4

import pytest

from engage_pipeline.clock import utc_now
from tests.integration.api.conftest import EXECUTIONS, FLOWS, Api


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]]


def test_pages_of_executions_have_each_one_once_the_newest_first(api: Api):
    flow_id = api.new_flow()
    made = [
        str(api.new_execution(flow_id, api.new_contact(f"lead{number}@example.com"), days_ago=number // 2))
        for number in range(9)
    ]
    for sort in ("-triggered_at", "triggered_at"):
        seen: list[str] = []
        cursor = None
        while True:
            page = api.get(EXECUTIONS, params={"limit": 4, "sort": sort, **({"cursor": cursor} if cursor else {})})
            seen += ids(page)
            cursor = page.json()["next_cursor"]
            if cursor is None:
                break
        assert sorted(seen) == sorted(made)
        moments = [api.get(f"{EXECUTIONS}/{each}").json()["triggered_at"] for each in seen]
        assert moments == sorted(moments, reverse=sort.startswith("-"))


def test_executions_are_filtered_by_status_flow_contact_dates_and_test_runs(api: Api):
    one, two = api.new_flow("One", 0), api.new_flow("Two", 1)
    ada, bob = api.new_contact("ada@example.com"), api.new_contact("bob@example.com")
    first = str(api.new_execution(one, ada, days_ago=3))
    second = str(api.new_execution(two, bob))
    test = str(api.new_execution(two, ada, is_test_run=True))
    api.post(f"{EXECUTIONS}/{first}/cancel")
    assert ids(api.get(EXECUTIONS, params={"status": "cancelled"})) == [first]
    assert set(ids(api.get(EXECUTIONS, params={"status": ["cancelled", "pending"]}))) == {first, second, test}
    assert ids(api.get(EXECUTIONS, params={"flow_id": str(one)})) == [first]
    assert set(ids(api.get(EXECUTIONS, params={"contact_id": str(ada)}))) == {first, test}
    assert ids(api.get(EXECUTIONS, params={"is_test_run": True})) == [test]
    yesterday = (utc_now() - timedelta(days=1)).isoformat()
    assert ids(api.get(EXECUTIONS, params={"triggered_before": yesterday})) == [first]
    assert set(ids(api.get(EXECUTIONS, params={"triggered_from": yesterday}))) == {second, test}
    assert set(ids(api.get(f"{FLOWS}/{two}/executions"))) == {second, test}
    assert api.get(EXECUTIONS, params={"triggered_from": "2026-05-01T00:00:00"}).status_code == 422


def test_executions_that_wait_for_a_person_can_be_asked_for(api: Api):
    flow_id = api.new_flow()
    lost = api.new_execution(flow_id, api.new_contact("ada@example.com"))
    api.new_execution(flow_id, api.new_contact("bob@example.com"))
    api.connection.execute("update flow_action_logs set status = 'sending' where execution_id = %s", [lost])
    api.connection.execute("update flow_action_logs set status = 'unknown' where execution_id = %s", [lost])
    assert ids(api.get(EXECUTIONS, params={"unknown": True})) == [str(lost)]


def test_counts_are_by_status_and_take_the_same_filters(api: Api):
    flow_id = api.new_flow()
    for number in range(3):
        api.new_execution(flow_id, api.new_contact(f"lead{number}@example.com"))
    tested = api.new_execution(flow_id, api.new_contact("test@example.com"), is_test_run=True)
    api.post(f"{EXECUTIONS}/{tested}/cancel")
    counts = api.get(f"{EXECUTIONS}/statistics").json()
    assert (counts["total"], counts["pending"], counts["cancelled"]) == (4, 3, 1)
    assert counts["completion_rate"] is None
    assert api.get(f"{EXECUTIONS}/statistics", params={"is_test_run": False}).json()["total"] == 3
    assert api.get(f"{EXECUTIONS}/statistics", params={"flow_id": str(uuid4())}).json()["total"] == 0


def test_an_execution_shows_its_contact_its_flow_and_its_timeline(api: Api):
    flow_id = api.new_flow()
    contact_id = api.new_contact("ada@example.com")
    execution_id = api.new_execution(flow_id, contact_id, is_test_run=True)
    found = api.get(f"{EXECUTIONS}/{execution_id}").json()
    assert (found["flow_name"], found["is_test_run"]) == ("Website leads", True)
    assert found["contact"]["email"] == "ada@example.com"
    (log,) = found["action_logs"]
    assert (log["action_order"], log["action_type"], log["status"]) == (1, "email", "pending")


def test_a_cancelled_execution_has_skipped_what_was_pending_and_cannot_be_cancelled_again(api: Api):
    execution_id = api.new_execution(api.new_flow(), api.new_contact("ada@example.com"))
    answer = api.post(f"{EXECUTIONS}/{execution_id}/cancel", role="editor")
    assert answer.json()["status"] == "cancelled"
    assert [log["skip_reason"] for log in answer.json()["action_logs"]] == ["cancelled"]
    again = api.post(f"{EXECUTIONS}/{execution_id}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "execution-ended")


@pytest.mark.parametrize("path", [f"{EXECUTIONS}/%s", f"{FLOWS}/%s", f"{FLOWS}/%s/executions"])
def test_what_nobody_has_is_not_found(api: Api, path: str):
    answer = api.get(path % uuid4())
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
