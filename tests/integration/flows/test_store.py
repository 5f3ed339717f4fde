"""Flows in a real PostgreSQL: versions, ids that stay, priorities, and what deletion leaves alone."""

import threading
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.tenants import Tenant, ensure_tenant
from engage_pipeline.flows.apply import apply_tenants
from engage_pipeline.flows.errors import FlowNamedTwice, NoFlow, NoFlowVersion, PriorityTaken
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import (
    ApplyReport,
    StoredFlow,
    apply_flows,
    delete_flow,
    enabled_flows,
    find_flow,
    list_flows,
    load_definitions,
)
from engage_pipeline.flows.yaml_file import TenantFlows
from tests.flow_strategies import flow_lists


@pytest.fixture
def tenant(connection: Connection) -> Tenant:
    return ensure_tenant(connection, "acme")


def _flow(name: str, priority: int, *, template_ids: tuple[str, ...] = ("welcome",), **changes: Any) -> Flow:
    actions = [
        {"action_order": order, "action_type": "email", "action_config": {"template_id": template_id}}
        for order, template_id in enumerate(template_ids, start=1)
    ]
    return Flow.model_validate({"name": name, "priority": priority, "actions": actions, **changes})


def _condition(value: object) -> dict[str, Any]:
    return {"condition_type": "lead_source", "condition_operator": "equals", "condition_value": value}


def _versions(connection: Connection) -> list[tuple[str, int]]:
    return connection.execute(
        "select flows.name, versions.version from flow_versions as versions"
        " inner join auto_engagement_flows as flows on flows.id = versions.flow_id order by 1, 2"
    ).fetchall()


def _action_ids(connection: Connection, flow_id: UUID) -> dict[int, UUID]:
    return dict(
        connection.execute("select action_order, id from flow_actions where flow_id = %s", [flow_id]).fetchall()
    )


def _run_flow_once(connection: Connection, stored: StoredFlow) -> UUID:
    """An execution with a successful log of each action, made by hand."""
    contact = connection.execute(
        "insert into contacts (user_id, entry_type) values (%s, 'manual') returning id", [stored.user_id]
    ).fetchone()
    batch = connection.execute(
        "insert into micro_batches (kind, item_count) values ('new_contacts', 1) returning id"
    ).fetchone()
    assert contact is not None
    assert batch is not None
    execution = connection.execute(
        "insert into flow_executions (flow_id, flow_version, user_id, contact_id, micro_batch_id, status)"
        " values (%s, %s, %s, %s, %s, 'completed') returning id",
        [stored.flow_id, stored.version, stored.user_id, contact[0], batch[0]],
    ).fetchone()
    assert execution is not None
    connection.execute(
        "insert into flow_action_logs (execution_id, user_id, action_id, action_order, action_type, status)"
        " select %s, %s, id, action_order, action_type, 'success' from flow_actions where flow_id = %s",
        [execution[0], stored.user_id, stored.flow_id],
    )
    return UUID(str(execution[0]))


def _logged_actions(connection: Connection, execution_id: UUID) -> dict[int, UUID | None]:
    return dict(
        connection.execute(
            "select action_order, action_id from flow_action_logs where execution_id = %s", [execution_id]
        ).fetchall()
    )


def test_a_new_flow_is_version_one_in_every_table(connection: Connection, tenant: Tenant) -> None:
    flow = _flow(
        "Hot",
        0,
        description="first",
        use_custom_business_hours=True,
        business_hours_start="22:00",
        business_hours_end="06:00",
        business_hours_overnight=True,
        business_hours_timezone="Asia/Kolkata",
        trigger_conditions=[_condition(True), _condition(5), _condition("5")],
    )
    assert apply_flows(connection, tenant, [flow]) == ApplyReport(("Hot",), (), (), ())
    (stored,) = list_flows(connection, tenant)
    assert (stored.user_id, stored.version, stored.definition) == (tenant.user_id, 1, flow)
    assert connection.execute(
        "select name, description, priority, is_enabled, version, use_custom_business_hours,"
        " business_hours_start::text, business_hours_end::text, business_hours_overnight, business_hours_timezone,"
        " deleted_at from auto_engagement_flows"
    ).fetchall() == [("Hot", "first", 0, True, 1, True, "22:00:00", "06:00:00", True, "Asia/Kolkata", None)]
    assert connection.execute(
        "select condition_type, condition_operator, condition_value from flow_trigger_conditions order by position"
    ).fetchall() == [("lead_source", "equals", value) for value in ("true", "5", "5")]
    assert connection.execute(
        "select action_order, action_type, action_config, execute_condition from flow_actions"
    ).fetchall() == [(1, "email", {"template_id": "welcome"}, "always")]


def test_a_version_from_before_a_field_was_there_says_the_same_as_its_default(
    connection: Connection, tenant: Tenant
) -> None:
    apply_flows(connection, tenant, [_flow("Hot", 0)])
    connection.execute("alter table flow_versions disable trigger user")
    connection.execute("update flow_versions set definition = definition - 'reentry_after_days'")
    assert apply_flows(connection, tenant, [_flow("Hot", 0)]).unchanged == ("Hot",)
    assert apply_flows(connection, tenant, [_flow("Hot", 0, reentry_after_days=30)]).updated == ("Hot",)
    row = connection.execute("select version, reentry_after_days from auto_engagement_flows").fetchone()
    assert row == (2, 30)


def test_groups_are_rows_below_their_group(connection: Connection, tenant: Tenant) -> None:
    nested = {"any": [_condition("a"), {"none": [_condition("b"), _condition("c")]}]}
    apply_flows(connection, tenant, [_flow("Hot", 0, trigger_conditions=[_condition("top"), nested])])
    assert connection.execute(
        "with recursive tree as (select id, position::text as place, group_kind, condition_value"
        " from flow_trigger_conditions where parent_id is null union all"
        " select node.id, place || '.' || node.position, node.group_kind, node.condition_value"
        " from flow_trigger_conditions as node inner join tree on tree.id = node.parent_id)"
        " select place, group_kind, condition_value from tree order by place"
    ).fetchall() == [
        ("0", None, "top"),
        ("1", "any", None),
        ("1.0", None, "a"),
        ("1.1", "none", None),
        ("1.1.0", None, "b"),
        ("1.1.1", None, "c"),
    ]
    apply_flows(connection, tenant, [_flow("Hot", 0, trigger_conditions=[])])
    assert connection.execute("select count(*) from flow_trigger_conditions").fetchone() == (0,)


def test_applying_the_same_again_makes_no_version(connection: Connection, tenant: Tenant) -> None:
    flow = _flow("Hot", 0)
    apply_flows(connection, tenant, [flow])
    before = connection.execute("select * from auto_engagement_flows").fetchall()
    assert apply_flows(connection, tenant, [flow]) == ApplyReport((), (), ("Hot",), ())
    assert connection.execute("select * from auto_engagement_flows").fetchall() == before
    assert _versions(connection) == [("Hot", 1)]


@pytest.mark.parametrize(("before", "after"), [(True, 1), (1, "1"), ("true", True), (0, False)])
def test_a_value_of_another_type_is_another_version(
    connection: Connection, tenant: Tenant, before: object, after: object
) -> None:
    apply_flows(connection, tenant, [_flow("Hot", 0, trigger_conditions=[_condition(before)])])
    report = apply_flows(connection, tenant, [_flow("Hot", 0, trigger_conditions=[_condition(after)])])
    assert report.updated == ("Hot",)


def test_a_changed_flow_gets_the_next_version_and_the_old_one_can_still_be_read(
    connection: Connection, tenant: Tenant
) -> None:
    first, second = _flow("Hot", 0), _flow("Hot", 0, template_ids=("other", "more"), is_enabled=False)
    apply_flows(connection, tenant, [first])
    assert apply_flows(connection, tenant, [second]).updated == ("Hot",)
    (stored,) = list_flows(connection, tenant)
    assert (stored.version, stored.definition) == (2, second)
    keys = [(stored.flow_id, 1), (stored.flow_id, 2), (stored.flow_id, 3), (uuid4(), 1)]
    assert load_definitions(connection, keys) == {keys[0]: first, keys[1]: second}
    assert find_flow(connection, tenant, "Hot", version=1).definition == first
    with pytest.raises(NoFlowVersion):
        find_flow(connection, tenant, "Hot", version=3)


@pytest.mark.parametrize("statement", ["update flow_versions set version = 9", "delete from flow_versions"])
def test_a_version_can_be_neither_changed_nor_deleted(connection: Connection, tenant: Tenant, statement: str) -> None:
    apply_flows(connection, tenant, [_flow("Hot", 0)])
    with pytest.raises(psycopg.errors.RaiseException, match="immutable"):
        connection.execute(statement)


def test_the_id_of_an_action_stays_while_its_order_exists(connection: Connection, tenant: Tenant) -> None:
    apply_flows(connection, tenant, [_flow("Hot", 0, template_ids=("a", "b", "c"))])
    (stored,) = list_flows(connection, tenant)
    before = _action_ids(connection, stored.flow_id)
    execution_id = _run_flow_once(connection, stored)
    apply_flows(connection, tenant, [_flow("Hot", 0, template_ids=("a", "edited"))])
    after = _action_ids(connection, stored.flow_id)
    assert after == {1: before[1], 2: before[2]}
    assert _logged_actions(connection, execution_id) == {1: before[1], 2: before[2], 3: None}


def test_what_matches_is_what_is_enabled_in_order_of_priority(connection: Connection, tenant: Tenant) -> None:
    other = ensure_tenant(connection, "other")
    apply_flows(connection, tenant, [_flow("B", 7), _flow("A", 2), _flow("Off", 0, is_enabled=False)])
    apply_flows(connection, other, [_flow("A", 1)])
    found = [(stored.user_id, stored.definition.name) for stored in enabled_flows(connection)]
    acme, others = [(tenant.user_id, "A"), (tenant.user_id, "B")], [(other.user_id, "A")]
    assert found == (acme + others if tenant.user_id < other.user_id else others + acme)


def test_priorities_swap_in_one_apply(connection: Connection, tenant: Tenant) -> None:
    apply_flows(connection, tenant, [_flow("A", 0), _flow("B", 1), _flow("C", 2)])
    apply_flows(connection, tenant, [_flow("A", 2), _flow("B", 0), _flow("C", 1)])
    assert [stored.definition.name for stored in list_flows(connection, tenant)] == ["B", "C", "A"]


@pytest.mark.parametrize("is_enabled", [True, False])
def test_a_priority_of_a_flow_that_stays_is_taken(connection: Connection, tenant: Tenant, is_enabled: bool) -> None:
    apply_flows(connection, tenant, [_flow("Old", 3, is_enabled=is_enabled)])
    with pytest.raises(PriorityTaken) as caught:
        apply_flows(connection, tenant, [_flow("Fine", 0), _flow("New", 3)])
    assert (caught.value.priority, caught.value.flow_name, caught.value.taken_by) == (3, "New", "Old")
    assert [stored.definition.name for stored in list_flows(connection, tenant)] == ["Old"]


def test_flows_applied_together_have_their_own_name_and_priority(connection: Connection, tenant: Tenant) -> None:
    with pytest.raises(PriorityTaken):
        apply_flows(connection, tenant, [_flow("A", 0), _flow("B", 0)])
    with pytest.raises(FlowNamedTwice):
        apply_flows(connection, tenant, [_flow("A", 0), _flow("A", 1)])
    assert list_flows(connection, tenant) == []


def test_flows_that_are_not_given_stay_unless_they_are_to_go(connection: Connection, tenant: Tenant) -> None:
    apply_flows(connection, tenant, [_flow("A", 0), _flow("B", 1)])
    assert apply_flows(connection, tenant, [_flow("A", 0)]).deleted == ()
    assert len(list_flows(connection, tenant)) == 2
    report = apply_flows(connection, tenant, [_flow("New", 1)], delete_missing=True)
    assert report == ApplyReport(("New",), (), (), ("A", "B"))
    assert [stored.definition.name for stored in enabled_flows(connection)] == ["New"]


def test_another_tenant_s_flows_are_out_of_reach(connection: Connection, tenant: Tenant) -> None:
    other = ensure_tenant(connection, "other")
    apply_flows(connection, tenant, [_flow("A", 0)])
    apply_flows(connection, other, [_flow("A", 0, template_ids=("theirs",))], delete_missing=True)
    with pytest.raises(NoFlow):
        delete_flow(connection, other, "B")
    delete_flow(connection, other, "A")
    assert [stored.version for stored in list_flows(connection, tenant)] == [1]


def test_a_deleted_flow_leaves_its_history_and_frees_its_name(connection: Connection, tenant: Tenant) -> None:
    apply_flows(connection, tenant, [_flow("Hot", 0, template_ids=("a", "b"))])
    (stored,) = list_flows(connection, tenant)
    execution_id = _run_flow_once(connection, stored)
    logged = _logged_actions(connection, execution_id)
    delete_flow(connection, tenant, "Hot")
    assert connection.execute(
        "select deleted_at is not null, priority, is_enabled, version from auto_engagement_flows"
    ).fetchall() == [(True, None, False, 1)]
    assert connection.execute("select status from flow_executions").fetchall() == [("completed",)]
    assert _logged_actions(connection, execution_id) == logged
    assert None not in logged.values()
    assert load_definitions(connection, [(stored.flow_id, 1)]) == {(stored.flow_id, 1): stored.definition}
    assert enabled_flows(connection) == []
    with pytest.raises(NoFlow):
        delete_flow(connection, tenant, "Hot")
    apply_flows(connection, tenant, [_flow("Hot", 0)])
    (again,) = list_flows(connection, tenant)
    assert (again.version, again.flow_id == stored.flow_id) == (1, False)


def test_a_flow_that_is_not_there_is_told_with_the_closest_name(connection: Connection, tenant: Tenant) -> None:
    apply_flows(connection, tenant, [_flow("Webinar", 0)])
    with pytest.raises(NoFlow, match="use 'Webinar'"):
        find_flow(connection, tenant, "Webinars")


def test_two_applies_at_once_go_one_after_the_other(connection: Connection, database: str, tenant: Tenant) -> None:
    failures: list[Exception] = []

    def apply(template_id: str) -> None:
        try:
            with connect(database) as own:
                for count in range(10):
                    apply_flows(own, tenant, [_flow("A", count % 2, template_ids=(f"{template_id}{count}",))])
        except Exception as error:  # noqa: BLE001 - whatever it is, the assertion below shows it
            failures.append(error)

    racers = [threading.Thread(target=apply, args=[name]) for name in ("x", "y")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert failures == []
    assert _versions(connection) == [("A", version) for version in range(1, 21)]
    (stored,) = list_flows(connection, tenant)
    assert stored.version == 20


def test_an_apply_does_not_wait_for_contacts_that_are_being_loaded(
    connection: Connection, database: str, tenant: Tenant
) -> None:
    with connect(database) as loading, loading.transaction():
        loading.execute("insert into contacts (user_id, entry_type) values (%s, 'bulk')", [tenant.user_id])
        connection.execute("set lock_timeout = '2s'")
        apply_flows(connection, tenant, [_flow("A", 0)])


def test_several_tenants_are_applied_together_or_not_at_all(connection: Connection) -> None:
    apply_tenants(connection, [TenantFlows("zeta", None, None, (_flow("Old", 0),))])
    both = [
        TenantFlows("acme", "GB", "Europe/London", (_flow("A", 0),)),
        TenantFlows("zeta", None, None, (_flow("New", 0),)),
    ]
    with pytest.raises(PriorityTaken):
        apply_tenants(connection, both)
    assert connection.execute("select name from users").fetchall() == [("zeta",)]
    reports = apply_tenants(connection, both, delete_missing=True)
    assert reports == {"acme": ApplyReport(("A",), (), (), ()), "zeta": ApplyReport(("New",), (), (), ("Old",))}
    assert connection.execute("select default_phone_region, time_zone from users where name = 'acme'").fetchone() == (
        "GB",
        "Europe/London",
    )


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=40)
@given(flows=flow_lists())
def test_flows_come_back_from_the_store_as_they_went_in(
    connection: Connection, tenant: Tenant, flows: list[Flow]
) -> None:
    apply_flows(connection, tenant, flows, delete_missing=True)
    assert apply_flows(connection, tenant, flows).unchanged == tuple(flow.name for flow in flows)
    stored = list_flows(connection, tenant)
    assert [each.definition for each in stored] == sorted(flows, key=lambda flow: flow.priority)
    keys = [(each.flow_id, each.version) for each in stored]
    assert set(load_definitions(connection, keys)) == set(keys)
