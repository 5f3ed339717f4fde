"""Matching of one micro-batch on real rows: reasons, odd custom fields, tenants, and repetition."""

from dataclasses import replace
from uuid import UUID

import pytest

from engage_pipeline.matching.batch import assign_batch
from tests.integration.ledger_world import flow_of


def assigned(world):
    """contact_id -> (flow name, reason) of one batch of all new contacts."""
    return by_contact(assign_batch(world.url, world.take(world.only_batch("new_contacts"))))


def by_contact(assignments):
    return {UUID(each.contact_id): (each.flow_name, each.reason) for each in assignments}


def condition(kind, operator, value=None, field=None):
    return {
        "condition_type": kind,
        "condition_operator": operator,
        "condition_value": value,
        "custom_field_name": field,
    }


def suppress(world, channel, address):
    world.connection.execute(
        "insert into suppressions (user_id, channel, address, source) values (%s, %s, %s, 'test')",
        [world.tenant.user_id, channel, address],
    )


def test_every_contact_gets_a_flow_or_the_reason_why_not(world):
    world.apply(
        flow_of("ai_call", name="Web", priority=1, trigger_conditions=[condition("lead_source", "equals", "web")]),
        flow_of(
            "email", "wait", name="Mail", priority=2, trigger_conditions=[condition("lead_source", "contains", "mail")]
        ),
        flow_of("ai_call", name="Disabled", priority=0, is_enabled=False),
    )
    suppress(world, "ai_call", "+12025559001")
    suppress(world, "email", "no@example.com")
    expected = {
        world.contact(lead_source="Web "): ("Web", "matched"),
        world.contact(lead_source="Web", phone_e164=None): ("Web", "unreachable"),
        world.contact(lead_source="Web", phone_e164="+12025559001"): ("Web", "suppressed"),
        world.contact(lead_source="E-Mail", phone_e164="+12025559001"): ("Mail", "matched"),
        world.contact(lead_source="mail", email="no@example.com"): ("Mail", "suppressed"),
        world.contact(lead_source="mail", email=None): ("Mail", "unreachable"),
        world.contact(lead_source="Fair"): (None, "no_match"),
        world.contact(): (None, "no_match"),
    }
    assert assigned(world) == expected


@pytest.mark.parametrize("tag", ["dnc", "DNC", " Do Not Contact ", "do-not-contact"])
def test_every_spelling_of_the_do_not_contact_tag_skips_all_flows(world, tag):
    world.apply(flow_of("email"))
    expected = {
        world.contact(tags=["VIP", tag]): (None, "dnc"),
        world.contact(tags=["VIP"]): ("Welcome", "matched"),
    }
    assert assigned(world) == expected


ODD_NAMES = [
    "a.b",
    "a/b",
    "a~b",
    "~1",
    "$",
    "$.x",
    "*",
    "0",
    "-1",
    "#",
    '"',
    "'",
    "\\",
    "naïve ☕",
    " padded ",
    "a[0]",
    "%s",
]


def test_custom_fields_of_any_name_are_read_under_exactly_that_name(world):
    world.apply(
        *(
            flow_of(
                "email",
                name=f"Flow {number}",
                priority=number,
                trigger_conditions=[condition("custom_field", "equals", "yes", field=name)],
            )
            for number, name in enumerate(ODD_NAMES)
        )
    )
    expected = {world.contact(custom_fields={name: "Yes"}): name for name in ODD_NAMES}
    nested = world.contact(custom_fields={"a": {"b": "yes"}})
    listed = world.contact(custom_fields={"a": ["yes"]})
    flow_names = {name: f"Flow {number}" for number, name in enumerate(ODD_NAMES)}
    assert assigned(world) == {
        **{contact_id: (flow_names[name], "matched") for contact_id, name in expected.items()},
        nested: (None, "no_match"),
        listed: (None, "no_match"),
    }


@pytest.mark.parametrize(
    ("value", "wanted", "holds"),
    [(5, "5.0", True), (True, "true", True), (None, "null", False), ("", "", False), ("5 ", 5, True)],
)
def test_values_of_other_json_types_compare_as_the_rules_say(world, value, wanted, holds):
    world.apply(flow_of("email", trigger_conditions=[condition("custom_field", "equals", wanted, field="x")]))
    contact_id = world.contact(custom_fields={"x": value})
    assert assigned(world) == {contact_id: ("Welcome", "matched") if holds else (None, "no_match")}


def test_a_tenants_flows_and_suppressions_are_its_own(world):
    other = replace(world, tenant_name="umbrella")
    world.apply(flow_of("email", name="Acme's", priority=5))
    other.apply(flow_of("ai_call", name="Umbrella's", priority=0))
    suppress(world, "ai_call", "+12025559001")
    expected = {
        world.contact(phone_e164="+12025559001"): ("Acme's", "matched"),
        other.contact(phone_e164="+12025559001"): ("Umbrella's", "matched"),
        other.contact(phone_e164=None): ("Umbrella's", "unreachable"),
    }
    assert assigned(world) == expected


def test_flows_that_change_between_two_attempts_do_not_change_what_was_assigned(world):
    world.apply(flow_of("email", name="First", priority=1))
    contact_id = world.contact()
    lease = world.take(world.only_batch("new_contacts"))
    assert by_contact(assign_batch(world.url, lease)) == {contact_id: ("First", "matched")}
    before = world.everything()
    world.apply(flow_of("ai_call", name="First", priority=2), flow_of("email", name="Better", priority=0))
    again = assign_batch(world.url, lease)
    assert by_contact(again) == {contact_id: ("First", "matched")}
    assert [each.flow_version for each in again] == [1]
    assert world.everything() == before


def test_a_batch_without_any_flow_matches_nobody(world):
    contact_id = world.contact()
    assert assigned(world) == {contact_id: (None, "no_match")}
