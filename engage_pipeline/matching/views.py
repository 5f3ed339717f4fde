"""Plans with their impact, lint reports and explanations as JSON values, for the command line and the API alike."""

from dataclasses import asdict
from typing import Any

from engage_pipeline.flows.plan import FieldChange, TenantPlan
from engage_pipeline.matching.impact import Impact
from engage_pipeline.matching.lint import LintReport


def plan_as_dict(plan: TenantPlan, impact: Impact) -> dict[str, Any]:
    """The plan and what it means for recent contacts, as JSON values."""
    return {
        "tenant": plan.tenant_name,
        "settings": [_field_as_dict(each) for each in plan.settings],
        "changes": [
            {
                "kind": change.kind,
                "flow": change.name,
                "version": change.version,
                "fields": [_field_as_dict(each) for each in change.fields],
                "definition": change.definition.model_dump(mode="json"),
            }
            for change in plan.changes
        ],
        "unchanged": list(plan.unchanged),
        "impact": {
            "days": impact.days,
            "contact_count": impact.contact_count,
            "moved_count": impact.moved_count,
            "moves": [asdict(move) for move in impact.moves],
            "actions": {channel: {"was": was, "becomes": now} for channel, (was, now) in impact.actions.items()},
            "cancelled_executions": dict(impact.cancelled),
        },
    }


def lint_as_dict(tenant_name: str, report: LintReport) -> dict[str, Any]:
    """Everything that was found, as JSON values."""
    said = asdict(report)
    said["recent"]["without_flow_share"] = report.recent.without_flow_share
    return {"tenant": tenant_name, **said}


def _field_as_dict(change: FieldChange) -> dict[str, Any]:
    said: dict[str, Any] = {"path": change.path}
    if not change.is_added:
        said["was"] = change.was
    if not change.is_removed:
        said["becomes"] = change.becomes
    return said
