"""Plans: a diff that changes nothing, the contacts it would move, and that only what was planned is carried out."""

from datetime import timedelta
from typing import Any

import pytest

from engage_pipeline.clock import utc_now
from engage_pipeline.flows.apply import apply_tenants
from engage_pipeline.flows.errors import FlowsChanged, PriorityTaken
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.plan import FieldChange, TenantPlan, plan_tenants
from engage_pipeline.flows.yaml_file import TenantFlows
from engage_pipeline.matching.impact import Answer, Impact, Move, impact_of
from tests.integration.ledger_world import World, flow_of


def _condition(kind: str, operator: str, value: object = None) -> dict[str, Any]:
    return {"condition_type": kind, "condition_operator": operator, "condition_value": value}


def _plan(world: World, *flows: Flow, prune: bool = False, zone: str | None = None) -> TenantPlan:
    (plan,) = plan_tenants(world.connection, [TenantFlows("acme", None, zone, flows)], delete_missing=prune)
    return plan


def _impact(world: World, plan: TenantPlan, days: int = 30) -> Impact:
    return impact_of(world.connection, world.url, plan, days=days, now=utc_now())


def test_a_plan_names_every_field_that_changes_and_changes_nothing(world: World) -> None:
    web, tagged = _condition("lead_source", "equals", "web"), _condition("tag", "is_set")
    world.apply(
        flow_of("email", name="Same"),
        flow_of("wait", "email", name="Edited", priority=1, trigger_conditions=[web]),
        flow_of("email", name="Gone", priority=2),
    )
    before = world.everything() | {"flows": world.connection.execute("select * from flow_versions").fetchall()}
    edited = flow_of("wait", "ai_call", name="Edited", priority=5, is_enabled=False, trigger_conditions=[tagged, web])
    added = flow_of("email", name="New", priority=2)
    plan = _plan(world, flow_of("email", name="Same"), edited, added, prune=True, zone="Europe/London")
    assert plan.unchanged == ("Same",)
    assert plan.settings == (FieldChange("time_zone", "UTC", "Europe/London"),)
    assert [(each.kind, each.name, each.version) for each in plan.changes] == [
        ("created", "New", None),
        ("updated", "Edited", 1),
        ("deleted", "Gone", 1),
    ]
    said = {change.path: (change.was, change.becomes) for change in plan.changes[1].fields}
    assert said["priority"] == (1, 5)
    assert said["is_enabled"] == (True, False)
    assert said["actions[1].action_type"] == ("email", "ai_call")
    (condition,) = [each for each in plan.changes[1].fields if each.path == "trigger_conditions[0]"]
    assert condition.is_added
    assert condition.becomes["condition_type"] == "tag"
    after = world.everything() | {"flows": world.connection.execute("select * from flow_versions").fetchall()}
    assert after == before


def test_a_tenant_that_is_new_is_planned_and_not_made(world: World) -> None:
    plan = _plan(world, flow_of("email"))
    assert plan.user_id is None
    assert _impact(world, plan).contact_count == 0
    assert world.connection.execute("select count(*) from users").fetchone() == (0,)


def test_what_applying_would_refuse_planning_refuses(world: World) -> None:
    world.apply(flow_of("email", name="A"))
    with pytest.raises(PriorityTaken):
        _plan(world, flow_of("email", name="B"))


def test_only_what_was_planned_is_carried_out(world: World) -> None:
    world.apply(flow_of("email"))
    edited = [TenantFlows("acme", None, None, (flow_of("ai_call"),))]
    (plan,) = plan_tenants(world.connection, edited)
    world.apply(flow_of("wait"))
    with pytest.raises(FlowsChanged):
        apply_tenants(world.connection, edited, bases={"acme": plan.basis})
    (plan,) = plan_tenants(world.connection, edited)
    assert apply_tenants(world.connection, edited, bases={"acme": plan.basis})["acme"].updated == ("Welcome",)


def test_the_blast_radius_counts_who_moves_and_what_would_be_sent(world: World) -> None:
    web = _condition("lead_source", "equals", "web")
    rest = flow_of("email", "email", name="Rest", priority=9)
    world.apply(flow_of("ai_call", name="Web", trigger_conditions=[web]), rest)
    for source in ["web", "web", "fair", "fair", "fair"]:
        world.contact(lead_source=source)
    said_no = world.contact(lead_source="fair")
    world.connection.execute("update contacts set suppressed_channels = '{email}' where id = %s", [said_no])
    world.contact(lead_source="fair", tags=["dnc"])
    world.contact(lead_source="fair", created_at=utc_now() - timedelta(days=31))
    fair = flow_of(
        "whatsapp_message", name="Fair", priority=1, trigger_conditions=[_condition("lead_source", "equals", "fair")]
    )
    gone = flow_of("ai_call", name="Web", is_enabled=False, trigger_conditions=[web])
    impact = _impact(world, _plan(world, gone, fair))
    assert impact.contact_count == 7
    assert impact.moves == (
        Move(Answer("Rest", "matched"), Answer("Fair", "matched"), 3),
        Move(Answer("Web", "matched"), Answer("Rest", "matched"), 2),
        Move(Answer(None, "suppressed"), Answer("Fair", "matched"), 1),
    )
    assert impact.actions == {"ai_call": (2, 0), "whatsapp_message": (0, 4), "email": (6, 4)}
    assert _impact(world, _plan(world, gone, fair), days=40).contact_count == 8


def test_within_last_counts_from_when_the_contact_came(world: World) -> None:
    fresh = flow_of("email", name="Fresh", trigger_conditions=[_condition("created_at", "within_last", 1)])
    world.apply(fresh)
    for days in (0, 5, 20):
        world.contact(created_at=utc_now() - timedelta(days=days))
    impact = _impact(world, _plan(world, flow_of("ai_call", name="Fresh")))
    assert (impact.contact_count, impact.moves, impact.actions["email"]) == (3, (), (3, 0))
