"""The flow endpoints: what they change, what they refuse, and how lost updates are prevented."""

from uuid import uuid4

import pytest

from tests.integration.api.conftest import FLOWS, Api, flow


def test_a_created_flow_reads_back_as_it_was_written(api: Api):
    answer = api.post(FLOWS, flow(description="For the website"))
    assert answer.status_code == 201
    created = answer.json()
    assert answer.headers["location"] == f"{FLOWS}/{created['id']}"
    assert answer.headers["etag"] == '"1"'
    read = api.get(f"{FLOWS}/{created['id']}")
    assert read.json() == created
    assert read.headers["etag"] == '"1"'
    assert (created["name"], created["priority"], created["is_enabled"]) == ("Website leads", 0, True)
    assert created["user_id"] == str(api.tenant("acme").user_id)


def test_a_rule_that_is_broken_names_the_field_and_how_to_mend_it(api: Api):
    broken = flow(actions=[{"action_order": 1, "action_type": "email", "action_config": {}}])
    answer = api.post(FLOWS, broken)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["status"]) == ("invalid-request", 422)
    assert problem["errors"][0]["field"] == "actions[0].action_config"
    assert problem["errors"][0]["detail"] == "email needs template_id"
    assert problem["errors"][0]["fix"]


def test_a_name_or_priority_that_is_taken_is_a_conflict(api: Api):
    api.new_flow("One", 0)
    assert api.post(FLOWS, flow("One", 1)).json()["code"] == "flow-name-taken"
    answer = api.post(FLOWS, flow("Two", 0))
    assert (answer.status_code, answer.json()["code"]) == (409, "priority-taken")


def test_another_tenant_may_have_the_same_name_and_priority(api: Api):
    api.new_flow("One", 0)
    api.new_flow("One", 0, tenant="other")


def test_a_patch_changes_what_it_names_and_makes_a_version(api: Api):
    flow_id = api.new_flow(description="before")
    answer = api.call("PATCH", f"{FLOWS}/{flow_id}", json={"name": "Renamed", "priority": 5})
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["name"], changed["priority"], changed["description"]) == ("Renamed", 5, "before")
    assert (changed["version"], answer.headers["etag"]) == (2, '"2"')
    assert api.call("PATCH", f"{FLOWS}/{flow_id}", json={"priority": 5}).json()["version"] == 2


def test_a_patch_may_not_break_a_rule_of_the_whole_flow(api: Api):
    flow_id = api.new_flow()
    answer = api.call("PATCH", f"{FLOWS}/{flow_id}", json={"use_custom_business_hours": True})
    assert answer.status_code == 422
    assert "business_hours" in answer.json()["errors"][0]["detail"]


def test_a_change_from_a_version_that_is_gone_is_refused(api: Api):
    flow_id = api.new_flow()
    etag = api.get(f"{FLOWS}/{flow_id}").headers["etag"]
    first = api.call("PATCH", f"{FLOWS}/{flow_id}", json={"description": "mine"}, headers={"If-Match": etag})
    assert first.status_code == 200
    for method, path, body in (
        ("PATCH", "", {"description": "theirs"}),
        ("PATCH", "/toggle", None),
        ("PUT", "/conditions", {"conditions": []}),
        ("PUT", "/actions", {"actions": flow()["actions"]}),
        ("DELETE", "", None),
    ):
        late = api.call(method, f"{FLOWS}/{flow_id}{path}", json=body, headers={"If-Match": etag})
        assert (late.status_code, late.json()["code"]) == (412, "flow-moved"), (method, path)
    now = api.get(f"{FLOWS}/{flow_id}")
    assert (now.json()["description"], now.json()["version"]) == ("mine", 2)
    anew = api.call("PUT", f"{FLOWS}/{flow_id}/conditions", json={"conditions": []}, headers={"If-Match": '"1", "2"'})
    assert anew.status_code == 200


def test_toggle_turns_a_flow_off_and_on(api: Api):
    flow_id = api.new_flow()
    assert api.call("PATCH", f"{FLOWS}/{flow_id}/toggle").json()["is_enabled"] is False
    assert api.call("PATCH", f"{FLOWS}/{flow_id}/toggle").json()["is_enabled"] is True
    assert api.call("PATCH", f"{FLOWS}/{flow_id}/toggle", json={"is_enabled": True}).json()["version"] == 3


def test_conditions_and_actions_are_replaced_whole(api: Api):
    flow_id = api.new_flow()
    group = [{"any": [{"condition_type": "tag", "condition_operator": "equals", "condition_value": "hot"}]}]
    assert api.call("PUT", f"{FLOWS}/{flow_id}/conditions", json={"conditions": group}).status_code == 200
    actions = [
        {"action_order": 1, "action_type": "wait", "action_config": {"duration_minutes": 5}},
        {"action_order": 2, "action_type": "email", "action_config": {"template_id": "later"}},
    ]
    changed = api.call("PUT", f"{FLOWS}/{flow_id}/actions", json={"actions": actions}).json()
    (condition,) = changed["trigger_conditions"][0]["any"]
    assert (condition["condition_type"], condition["condition_value"]) == ("tag", "hot")
    assert [each["action_type"] for each in changed["actions"]] == ["wait", "email"]
    stored = api.connection.execute(
        "select action_type from flow_actions where flow_id = %s order by action_order", [flow_id]
    ).fetchall()
    assert stored == [("wait",), ("email",)]


def test_a_deleted_flow_is_gone_and_its_executions_are_cancelled_and_kept(api: Api):
    flow_id = api.new_flow()
    execution_id = api.new_execution(flow_id, api.new_contact("ada@example.com"))
    assert api.call("DELETE", f"{FLOWS}/{flow_id}").status_code == 204
    assert api.get(f"{FLOWS}/{flow_id}").status_code == 404
    assert api.call("DELETE", f"{FLOWS}/{flow_id}").status_code == 404
    kept = api.get(f"{FLOWS}/{flow_id}/executions").json()["items"]
    assert [(each["id"], each["status"]) for each in kept] == [(str(execution_id), "cancelled")]
    api.new_flow()


def test_priorities_are_changed_together_and_may_swap(api: Api):
    one, two, three = (api.new_flow(name, priority) for priority, name in enumerate(("One", "Two", "Three")))
    wanted = [{"id": str(one), "priority": 1}, {"id": str(two), "priority": 0}, {"id": str(three), "priority": 2}]
    answer = api.post(f"{FLOWS}/priorities/bulk-update", {"priorities": wanted})
    assert (answer.status_code, answer.json()["updated_count"]) == (200, 2)
    listed = api.get(FLOWS).json()["items"]
    assert [(each["name"], each["priority"], each["version"]) for each in listed] == [
        ("Two", 0, 2),
        ("One", 1, 2),
        ("Three", 2, 1),
    ]


@pytest.mark.parametrize("wrong", ["repeated id", "repeated priority", "another tenant's", "nobody's", "taken"])
def test_a_change_of_priorities_that_is_wrong_anywhere_changes_nothing(api: Api, wrong: str):
    one, two, _ = (api.new_flow(name, priority) for priority, name in enumerate(("One", "Two", "Three")))
    theirs = api.new_flow("Theirs", 0, tenant="other")
    second, status, code = {
        "repeated id": ({"id": str(one), "priority": 8}, 422, "invalid-request"),
        "repeated priority": ({"id": str(two), "priority": 9}, 422, "invalid-request"),
        "another tenant's": ({"id": str(theirs), "priority": 8}, 404, "no-flow"),
        "nobody's": ({"id": str(uuid4()), "priority": 8}, 404, "no-flow"),
        "taken": ({"id": str(two), "priority": 2}, 409, "priority-taken"),
    }[wrong]
    answer = api.post(f"{FLOWS}/priorities/bulk-update", {"priorities": [{"id": str(one), "priority": 9}, second]})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    stored = api.connection.execute(
        "select name, priority, version from auto_engagement_flows order by name"
    ).fetchall()
    assert stored == [("One", 0, 1), ("Theirs", 0, 1), ("Three", 2, 1), ("Two", 1, 1)]


def test_pages_of_flows_have_every_flow_once_whatever_the_sort(api: Api):
    names = [f"Flow {letter}" for letter in "abcdefg"]
    for priority, name in enumerate(names):
        api.new_flow(name, priority)
    for sort, expected in (
        ("priority", names),
        ("-priority", names[::-1]),
        ("-name", names[::-1]),
        ("created_at", names),
    ):
        seen, cursor = [], None
        while True:
            page = api.get(FLOWS, params={"sort": sort, "limit": 3, **({"cursor": cursor} if cursor else {})}).json()
            seen += [each["name"] for each in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == expected, sort


def test_flows_are_filtered(api: Api):
    api.new_flow("Hot leads", 0)
    api.new_flow("Cold leads", 1, is_enabled=False)
    assert [each["name"] for each in api.get(FLOWS, params={"is_enabled": False}).json()["items"]] == ["Cold leads"]
    assert [each["name"] for each in api.get(FLOWS, params={"q": "HOT"}).json()["items"]] == ["Hot leads"]


@pytest.mark.parametrize("cursor", ["nonsense", "W10", "WyJwcmlvcml0eSIsICIxIiwgIngiXQ", "%%%", "é"])
def test_a_cursor_that_is_none_is_refused(api: Api, cursor: str):
    answer = api.get(FLOWS, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


def test_roles_read_change_and_administer(api: Api):
    flow_id = api.new_flow()
    assert api.get(f"{FLOWS}/{flow_id}", role="viewer").status_code == 200
    for method, path, body in (
        ("POST", "", flow("Two", 1)),
        ("PATCH", f"/{flow_id}", {"name": "Two"}),
        ("DELETE", f"/{flow_id}", None),
        ("POST", "/priorities/bulk-update", {"priorities": [{"id": str(flow_id), "priority": 3}]}),
    ):
        answer = api.call(method, f"{FLOWS}{path}", json=body, role="viewer")
        assert (answer.status_code, answer.json()["code"]) == (403, "role-too-low")
    assert api.post(FLOWS, flow("Two", 1), role="editor").status_code == 201
