"""Flow files: what they say, and where they are wrong."""

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings

from engage_pipeline.flows.conditions import ConditionGroup, TriggerCondition
from engage_pipeline.flows.errors import InvalidFlows
from engage_pipeline.flows.model import Action, Flow
from engage_pipeline.flows.yaml_file import TenantFlows, read_flows, to_yaml
from tests.flow_strategies import flow_lists

PROJECT = Path(__file__).resolve().parents[3]

GOOD = """\
tenant: acme
default_phone_region: US
time_zone: America/New_York
flows:
  - name: Hot
    priority: 0
    trigger_conditions:
      - {condition_type: lead_source, condition_operator: equals, condition_value: Website}
    actions:
      - action_order: 1
        action_type: email
        action_config: {template_id: welcome}
"""


def _write(folder: Path, text: str, name: str = "flows.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(text), encoding="utf-8")
    return path


def _problems(path: Path, *, tenant_name: str | None = None) -> list[str]:
    with pytest.raises(InvalidFlows) as caught:
        read_flows(path, tenant_name=tenant_name)
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


def _problem_of(folder: Path, old: str, new: str) -> str:
    assert old in GOOD
    (only,) = _problems(_write(folder, GOOD.replace(old, new)))
    return only


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (read,) = read_flows(_write(tmp_path, GOOD))
    assert (read.tenant_name, read.default_phone_region, read.time_zone) == ("acme", "US", "America/New_York")
    assert [flow.name for flow in read.flows] == ["Hot"]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "flows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_flows(path)[0].tenant_name == "acme"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("name: Hot", "nam: x\n    name: Hot", "5: flows[0].nam: is not a field here; did you mean name? allowed:"),
        ("tenant: acme", "tenant: ../acme", "1: tenant: a tenant is named with letters"),
        ("default_phone_region: US", "default_phone_region: us", "2: default_phone_region: a region is two capital"),
        ("America/New_York", "Mars/Olympus", "3: time_zone: an IANA time zone is needed"),
        ("    priority: 0\n", "", "5: flows[0].priority: is needed"),
        ("name: Hot", "name: 7", "5: flows[0].name: should be text; put 7 in quotes"),
        ("priority: 0", "priority: yes", "6: flows[0].priority: should be a valid integer"),
        ("equals", "equal", "(did you mean equals?)"),
        ("equals", "any", "8: flows[0].trigger_conditions[0]: any holds for every contact"),
        ("condition_value: Website", "condition_value: [a]", "8: flows[0].trigger_conditions[0]: condition_value is"),
        ("condition_value: Website", "condition_value: {a: 1}", "8: flows[0].trigger_conditions[0].condition_value: "),
        ("template_id: welcome", "template: welcome", "12: flows[0].actions[0].action_config: email needs template_id"),
        ("        action_config: {template_id: welcome}\n", "", "10: flows[0].actions[0].action_config: email needs"),
        ("action_type: email", "action_type: sms", "11: flows[0].actions[0].action_type: 'sms' should be 'ai_call'"),
        ("priority: 0", "priority: 0\n    priority: 1", "7: flows[0].priority: is written twice in one place, first"),
        ("{template_id: welcome}", "{x: 1, x: 2}", "12: flows[0].actions[0].action_config.x: is written twice"),
        ("tenant: acme\n", "", "1: tenant: is needed, here or as --tenant"),
        ("priority: 0", "priority: !!int abc", "6: not a value of int"),
        ("priority: 0", "priority: !!bool abc", "6: not a value of bool"),
        ("priority: 0", "priority: !!python/name:os.system x", "could not determine a constructor"),
        ("priority: 0", "priority: [0", "expected ',' or ']'"),
        ("priority: 0", "priority: *nobody", "6: found undefined alias 'nobody'"),
        ("priority: 0", "priority: &a [*a]", "an alias stands inside what it names"),
        ("priority: 0", "priority: 0\n    business_hours_end: 12:30", "7: flows[0].business_hours_end: a time is"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_field(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert problem in _problem_of(tmp_path, old, new)


def test_a_mistake_within_a_group_is_told_with_its_line_and_the_groups_around_it(tmp_path: Path) -> None:
    good = "- {condition_type: lead_source, condition_operator: equals, condition_value: Website}"
    groups = (
        "- any:\n          - none:\n              - {condition_type: tag, condition_operator: gt, condition_value: 5}"
    )
    told = _problem_of(tmp_path, good, groups)
    assert told.startswith("10: flows[0].trigger_conditions[0].any[0].none[0]: gt does not fit tag; use one of: any, ")


def test_an_unquoted_time_gets_the_hint_to_quote_it(tmp_path: Path) -> None:
    assert "(put the time in quotes)" in _problem_of(
        tmp_path, "priority: 0", "priority: 0\n    business_hours_start: 12:30"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1: the file is empty"),
        ("# only a comment\n", "1: the file is empty"),
        ("just text", "1: should be a mapping of fields"),
        ("- a list\n", "1: should be a mapping of fields"),
        ("tenant: a\nflows:\n", "2: flows: should be a list"),
        ("tenant: a\nflows: 5\n", "2: flows: should be a list"),
        ("tenant: a\nflows: [5]\n", "2: flows[0]: should be a mapping of fields"),
        ("tenant: a\n", "1: flows: is needed"),
        ("tenant: a\n---\ntenant: b\n", "2: expected a single document in the stream, but found another document"),
        (
            "tenant: a\n\tflows: []\n",
            "2: while scanning for the next token, found character '\\t' that cannot start any token",
        ),
        ("tenant: \x01\n", "is not allowed"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text(text)
    assert any(problem in each for each in _problems(path)), _problems(path)


def test_a_file_that_is_not_utf_8_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "flows.yaml"
    path.write_bytes(b"tenant: a\nflows: caf\xe9\n")
    assert _problems(path) == ["2: the file is not UTF-8"]


def test_aliases_that_multiply_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    lines = ["tenant: a", "x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 12)]
    (problem,) = _problems(_write(tmp_path, "\n".join(lines)))
    assert "the aliases stand for too much" in problem


def test_every_mistake_is_told_at_once_by_line(tmp_path: Path) -> None:
    text = GOOD.replace("priority: 0", "priority: -1").replace("equals", "is").replace("email", "sms")
    assert [each.split(":")[0] for each in _problems(_write(tmp_path, text))] == ["6", "8", "11"]


def test_names_and_priorities_are_unique_even_where_a_flow_has_other_mistakes(tmp_path: Path) -> None:
    flow = GOOD[GOOD.index("  - name") :]
    path = _write(tmp_path, GOOD + flow.replace("email", "sms"))
    names, priorities, kind = _problems(path)
    assert names == f"13: flows[1].name: 'Hot' is taken by the flow at {path}:5; it is unique within a tenant"
    assert priorities == f"14: flows[1].priority: 0 is taken by the flow at {path}:6; it is unique within a tenant"
    assert "actions[0].action_type" in kind


def test_a_folder_is_read_as_one_without_its_subfolders(tmp_path: Path) -> None:
    _write(tmp_path, GOOD, "a.yaml")
    _write(tmp_path, GOOD.replace("Hot", "Cold").replace("priority: 0", "priority: 1"), "b.yml")
    _write(tmp_path, GOOD.replace("acme", "other"), "c.yaml")
    _write(tmp_path, "no yaml: [", "notes.txt")
    (tmp_path / "examples").mkdir()
    _write(tmp_path / "examples", GOOD)
    assert [(each.tenant_name, [flow.name for flow in each.flows]) for each in read_flows(tmp_path)] == [
        ("acme", ["Hot", "Cold"]),
        ("other", ["Hot"]),
    ]


def test_two_files_of_a_folder_may_not_disagree(tmp_path: Path) -> None:
    first = _write(tmp_path, GOOD, "a.yaml")
    second = _write(tmp_path, GOOD.replace("default_phone_region: US", "default_phone_region: GB"), "b.yaml")
    with pytest.raises(InvalidFlows) as caught:
        read_flows(tmp_path)
    assert caught.value.problems == (
        f"{second}:2: default_phone_region: 'GB' here, but 'US' in {first}, of the same tenant",
        f"{second}:5: flows[0].name: 'Hot' is taken by the flow at {first}:5; it is unique within a tenant",
        f"{second}:6: flows[0].priority: 0 is taken by the flow at {first}:6; it is unique within a tenant",
    )


def test_a_tenant_given_from_outside_wins(tmp_path: Path) -> None:
    path = _write(tmp_path, GOOD.replace("tenant: acme\n", ""))
    assert [each.tenant_name for each in read_flows(path, tenant_name="beta")] == ["beta"]
    path = _write(tmp_path, GOOD)
    assert [each.tenant_name for each in read_flows(path, tenant_name="beta")] == ["beta"]


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    assert "no .yaml or .yml file is here" in _problems(tmp_path)[0]
    assert "cannot be read: No such file" in _problems(tmp_path / "absent.yaml")[0]


def test_a_mapping_may_merge_another_and_override_it(tmp_path: Path) -> None:
    text = GOOD.replace("{template_id: welcome}", "&mail {template_id: welcome}") + (
        "      - action_order: 2\n"
        "        action_type: email\n"
        "        action_config: {<<: *mail, template_id: reminder}\n"
    )
    (read,) = read_flows(_write(tmp_path, text))
    assert read.flows[0].actions[1].action_config == {"template_id": "reminder"}


@pytest.mark.parametrize(
    ("written", "value"),
    [("5", 5), ("1.5", 1.5), ("true", True), ("'true'", "true"), ("2026-01-31", "2026-01-31"), ("Website", "Website")],
)
def test_a_condition_value_is_what_yaml_says_but_a_date_is_text(tmp_path: Path, written: str, value: object) -> None:
    (read,) = read_flows(_write(tmp_path, GOOD.replace("Website", written)))
    found = read.flows[0].trigger_conditions[0].condition_value
    assert (type(found), found) == (type(value), value)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=40
)
@given(flows=flow_lists())
def test_flows_written_as_yaml_read_back_the_same(tmp_path: Path, flows: list[Flow]) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text(to_yaml(flows, tenant_name="acme"), encoding="utf-8")
    assert read_flows(path) == [TenantFlows("acme", None, None, tuple(flows))]


def test_the_demo_s_flows_are_valid_and_keep_no_business_hours() -> None:
    (demo,) = read_flows(PROJECT / "flows")
    assert (demo.tenant_name, demo.default_phone_region, demo.time_zone) == ("demo", "US", "America/New_York")
    assert [flow.priority for flow in demo.flows] == [0, 1, 2, 3, 100]
    assert not any(flow.use_custom_business_hours for flow in demo.flows)
    assert demo.flows[-1].trigger_conditions == ()


def test_the_example_of_business_hours_is_valid() -> None:
    (example,) = read_flows(PROJECT / "flows" / "examples")
    assert [flow.business_hours_overnight for flow in example.flows] == [False, True]


def test_the_example_in_the_docs_is_valid(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "flows.md").read_text(encoding="utf-8")
    (read,) = read_flows(_write(tmp_path, page.split("```yaml\n")[1].split("```")[0]))
    assert [action.action_type for action in read.flows[0].actions] == ["ai_call", "email"]


@pytest.mark.parametrize("model", [Flow, TriggerCondition, ConditionGroup, Action])
def test_the_docs_name_every_field(model: type[Flow | TriggerCondition | ConditionGroup | Action]) -> None:
    page = (PROJECT / "docs" / "flows.md").read_text(encoding="utf-8")
    assert [field for field in model.model_fields if f"`{field}`" not in page] == []
