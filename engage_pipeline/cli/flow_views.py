"""How `engage flows` shows plans and findings to people."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.plan import FieldChange, FlowChange, TenantPlan

if TYPE_CHECKING:
    from engage_pipeline.matching.impact import Answer, Impact
    from engage_pipeline.matching.lint import LintReport, Witness

_SIGNS = {"created": "+", "updated": "~", "deleted": "-"}
MOST_MOVES_SHOWN = 15
MOST_OVERLAPS_SHOWN = 20
_QUESTIONS = {
    "never_true": "whether its conditions can hold",
    "never_wins": "whether it can win",
    "overlap": "whether both can want one contact",
}


def plan_lines(plan: TenantPlan, impact: "Impact") -> Iterator[str]:
    """The plan for reading, one block a tenant."""
    yield plan.tenant_name + (" (new)" if plan.user_id is None else "")
    for each in plan.settings:
        yield f"  ~ {_field(each)}"
    for change in plan.changes:
        yield from _change_lines(change, impact)
    if plan.is_empty:
        yield "  nothing would change"
        return
    if plan.unchanged:
        yield f"  {len(plan.unchanged):,} unchanged"
    contacts = f"{impact.contact_count:,} contacts of the last {impact.days} days"
    yield f"  of the {contacts}, {impact.moved_count:,} would change flow"
    for move in impact.moves[:MOST_MOVES_SHOWN]:
        yield f"    {move.contact_count:,}  {_answer(move.was)} -> {_answer(move.becomes)}"
    if hidden := impact.moves[MOST_MOVES_SHOWN:]:
        yield f"    {sum(move.contact_count for move in hidden):,}  in {len(hidden)} smaller groups"
    for channel, (was, becomes) in impact.actions.items():
        yield f"    {channel}: at most {was:,} -> {becomes:,} ({becomes - was:+,})"


def _change_lines(change: FlowChange, impact: "Impact") -> Iterator[str]:
    sign = _SIGNS[change.kind]
    if change.kind == "created":
        yield f"  {sign} {change.name}: {_summary(change.definition)}"
    elif change.kind == "deleted":
        count = impact.cancelled.get(change.name, 0)
        yield f"  {sign} {change.name}: deleted; {count:,} open executions are cancelled"
    else:
        yield f"  {sign} {change.name}: version {change.version} becomes {(change.version or 0) + 1}"
        for each in change.fields:
            yield f"      {_field(each)}"


def _summary(flow: Flow) -> str:
    actions = sorted(flow.actions, key=lambda action: action.action_order)
    state = "" if flow.is_enabled else ", not enabled"
    return f"priority {flow.priority}{state}, {', '.join(action.action_type for action in actions)}"


def _field(change: FieldChange) -> str:
    if change.is_added:
        return f"{change.path}: added {_value(change.becomes)}"
    if change.is_removed:
        return f"{change.path}: removed {_value(change.was)}"
    return f"{change.path}: {_value(change.was)} -> {_value(change.becomes)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        # A condition or an action: what it does not say is not shown.
        value = {name: inner for name, inner in value.items() if inner is not None}
    return json.dumps(value, ensure_ascii=False)


def _answer(answer: "Answer") -> str:
    return answer.flow if answer.flow is not None else f"no flow ({answer.reason})"


def lint_lines(tenant_name: str, report: "LintReport") -> Iterator[str]:
    """What was found, for reading; --json has the overlaps that are left out here."""
    yield f"{tenant_name}: {report.flow_count} enabled flows"
    for name in report.never_true:
        yield f"  never true: {name}: its conditions hold for no contact"
    for each in report.never_wins:
        yield f"  never wins: {each.flow}: all that it wants goes to {', '.join(each.covered_by)}"
        yield f"      such as {_witness(each.witness)}"
    by_size = sorted(report.overlaps, key=lambda each: -each.contact_count)
    for overlap in by_size[:MOST_OVERLAPS_SHOWN]:
        counted = f"{overlap.contact_count:,} of {report.sampled_count:,} recent contacts"
        yield f"  overlap: {overlap.flow} comes before {overlap.other}: {counted} are wanted by both"
        yield f"      such as {_witness(overlap.witness)}"
    if len(by_size) > MOST_OVERLAPS_SHOWN:
        yield f"  {len(by_size) - MOST_OVERLAPS_SHOWN:,} more overlaps"
    for question in report.not_proven:
        yield f"  not proven: {', '.join(question.flows)}: {_QUESTIONS[question.question]}"
    if report.pairs_not_asked:
        yield f"  not asked: {report.pairs_not_asked:,} pairs of flows whether they overlap"
    recent = report.recent
    yield (
        f"  no flow takes {recent.without_flow_count:,} of the {recent.contact_count:,} contacts of the last"
        f" {recent.days} days ({recent.without_flow_share:.1%})"
    )
    if recent.without_flow is not None:
        yield f"      such as {_witness(recent.without_flow)}"


def _witness(witness: "Witness") -> str:
    if witness.contact_id is not None:
        return f"contact {witness.contact_id}"
    return f"one with {json.dumps(witness.values, ensure_ascii=False)}"
