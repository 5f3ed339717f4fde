"""What flows do and would do, before they do it: lint, plan, explain, simulate, test runs, and unknown results."""

from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import EditorPosting, Viewer, ViewerPosting
from engage_pipeline.api.errors import TooManyContacts
from engage_pipeline.api.problems import answers
from engage_pipeline.api.routes.execution_models import ExecutionDetail, detail_view
from engage_pipeline.api.routes.flow_models import FLOW, NewFlow
from engage_pipeline.api.sessions import Session
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.reading import execution_of_log, find_execution
from engage_pipeline.execution.resolve import resolve_unknown
from engage_pipeline.execution.test_runs import start_test_run
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.plan import plan_flows
from engage_pipeline.flows.store import StoredFlow, find_flow_of_id, list_flows
from engage_pipeline.privacy.contacts import contact_of_execution

router = APIRouter(prefix="/api", tags=["planning"])

MOST_CONTACTS = 20_000
_POSTED = answers(400, 401, 403, 404, 413, 415, 422, 429, 503)
_FLOWS = "/auto-engagement/flows"
_FLOW_ID = "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11"
_ANSWER: dict[str, Any] = {"flow": "Website leads", "reason": "matched"}

Days = Annotated[int, Field(ge=1, le=90, description="Ask the contacts of so many last days.")]


def _example(*examples: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(examples)})


def _asks(*examples: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": list(examples)})


class LintIn(BaseModel):
    """The flows to look at; those in force when none are given."""

    model_config = _asks({"days": 7}, {"flows": [FLOW], "days": 7})

    flows: Annotated[tuple[NewFlow, ...], Field(max_length=500)] | None = None
    days: Days = 30


class LintOut(BaseModel):
    """What was found: docs/matching.md says what each is."""

    model_config = _example(
        {
            "tenant": "demo",
            "flow_count": 5,
            "never_true": [],
            "never_wins": [],
            "overlaps": [],
            "not_proven": [],
            "pairs_not_asked": 0,
            "sampled_count": 0,
            "recent": {
                "days": 7,
                "contact_count": 4642,
                "without_flow_count": 0,
                "without_flow": None,
                "wins": {"Website leads": 4642},
                "without_flow_share": 0.0,
            },
        }
    )

    tenant: str
    flow_count: int
    never_true: list[str]
    never_wins: list[dict[str, Any]]
    overlaps: list[dict[str, Any]]
    not_proven: list[dict[str, Any]]
    pairs_not_asked: int
    sampled_count: int
    recent: dict[str, Any]


class PlanIn(BaseModel):
    """The flows as they are to be, matched by name."""

    model_config = _asks({"flows": [FLOW], "prune": False, "days": 7})

    flows: Annotated[tuple[NewFlow, ...], Field(max_length=500)]
    prune: bool = Field(default=False, description="Whether flows that are not given would be deleted.")
    days: Days = 30


class PlanOut(BaseModel):
    """What applying them would change, and which recent contacts it would move."""

    model_config = _example(
        {
            "tenant": "demo",
            "settings": [],
            "changes": [
                {"kind": "created", "flow": "Website leads", "version": None, "fields": [], "definition": FLOW}
            ],
            "unchanged": [],
            "impact": {
                "days": 7,
                "contact_count": 4642,
                "moved_count": 120,
                "moves": [{"was": {"flow": None, "reason": "no_match"}, "becomes": _ANSWER, "contact_count": 120}],
                "actions": {"email": {"was": 0, "becomes": 120}},
                "cancelled_executions": {},
            },
        }
    )

    tenant: str
    settings: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    unchanged: list[str]
    impact: dict[str, Any]


class ExplanationOut(BaseModel):
    """Every enabled flow by priority, each condition with what was seen, and which flow wins."""

    model_config = _example(
        {
            "contact_id": "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d33",
            "winner": "Website leads",
            "reason": "matched",
            "flows": [
                {
                    "flow_name": "Website leads",
                    "priority": 50,
                    "version": 1,
                    "is_true": True,
                    "lines": [{"depth": 0, "text": "lead_source equals Website", "seen": ["Website"], "is_true": True}],
                }
            ],
            "assigned": None,
            "again": None,
        }
    )

    contact_id: str
    winner: str | None = Field(description="Null when no flow takes the contact.")
    reason: str
    flows: list[dict[str, Any]]
    assigned: dict[str, Any] | None = Field(description="What it was assigned when it was matched last.")
    again: dict[str, Any] | None = Field(
        description="What it would get if it arrived again now; null before the first."
    )


class SimulateIn(BaseModel):
    """Whose walk to foretell; another seed draws other answers of the providers."""

    model_config = _asks({"days": 7, "seed": 1})

    days: Days
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1


class ForecastOut(BaseModel):
    """Who would get what and when, in numbers."""

    model_config = _example(
        {
            "contacts": 100,
            "reasons": {"matched": 98, "dnc": 2},
            "executions": [{"flow": "Website leads", "status": "completed", "contacts": 98}],
            "actions": [{"action_type": "email", "status": "success", "result": "delivered", "actions": 90}],
            "calls_an_hour": [{"hour": "2026-05-01T09:00:00+00:00", "email": 98}],
            "cost_cents": {"email": 9.8},
        }
    )

    contacts: int
    reasons: dict[str, int]
    executions: list[dict[str, Any]]
    actions: list[dict[str, Any]]
    calls_an_hour: list[dict[str, Any]]
    cost_cents: dict[str, float]


class TestRunIn(BaseModel):
    """The contact that is to walk through the flow."""

    __test__ = False
    model_config = _asks({"contact_id": "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d33"})

    contact_id: UUID


class ResolutionIn(BaseModel):
    """What became of the action."""

    model_config = _asks({"outcome": "delivered"})

    outcome: Literal[
        "delivered", "opened", "read", "answered", "no_answer", "busy", "voicemail", "refused", "failed", "bounced",
        "complained", "opted_out",
    ]  # fmt: skip


@router.post(
    f"{_FLOWS}/lint", response_model=LintOut, responses=_POSTED, summary="Find flows that cannot do their work"
)
def lint(caller: ViewerPosting, given: LintIn | None = None) -> Response:
    """Conditions that never hold, flows that never win, overlaps, and the share of contacts that no flow takes."""
    from engage_pipeline.matching.lint import lint_flows
    from engage_pipeline.matching.views import lint_as_dict

    asked = given or LintIn()
    with caller.read() as session:
        tenant = session.tenant
        flows = (
            list_flows(session.connection, tenant)
            if asked.flows is None
            else [StoredFlow(uuid4(), tenant.user_id, 1, Flow(**dict(each))) for each in asked.flows]
        )
        report = lint_flows(session.url, session.user_id, flows, days=asked.days, now=utc_now())
    return Answer.of(lint_as_dict(tenant.name, report)).response()


@router.post(
    f"{_FLOWS}/plan",
    response_model=PlanOut,
    responses={**_POSTED, **answers(409)},
    summary="See what flows would change",
)
def plan(caller: ViewerPosting, given: PlanIn) -> Response:
    """What applying these flows would change, field by field, and which contacts of the last days it would move."""
    from engage_pipeline.matching.impact import impact_of
    from engage_pipeline.matching.views import plan_as_dict

    flows = [Flow(**dict(each)) for each in given.flows]
    # Done and taken back, so it needs a transaction that may write.
    with caller.services.database.session(caller.principal.user_id) as session:
        planned = plan_flows(session.connection, session.tenant, flows, delete_missing=given.prune)
        impact = impact_of(session.connection, session.url, planned, days=given.days, now=utc_now())
    return Answer.of(plan_as_dict(planned, impact)).response()


@router.post(
    f"{_FLOWS}/simulate", response_model=ForecastOut, responses=_POSTED, summary="Foretell what flows would do"
)
def simulate(caller: ViewerPosting, given: SimulateIn) -> Response:
    """What would become of the contacts of the last days if they were new now. Writes and sends nothing."""
    from engage_pipeline.channels.sandbox.behaviour import Behaviour
    from engage_pipeline.execution.simulate import count_recent_contacts, recent_contacts
    from engage_pipeline.execution.simulate import simulate as forecast_of

    now = utc_now()
    with caller.read() as session:
        tenant = session.tenant
        count = count_recent_contacts(session.connection, tenant, days=given.days, now=now, at_most=MOST_CONTACTS + 1)
        if count > MOST_CONTACTS:
            raise TooManyContacts(most=MOST_CONTACTS)
        contacts = recent_contacts(session.connection, tenant, days=given.days, now=now)
        forecast = forecast_of(session.connection, tenant, contacts, Behaviour(seed=given.seed), start=now)
    return Answer.of(forecast.as_dict()).response()


@router.get(
    "/contacts/{contact_id}/explanation",
    response_model=ExplanationOut,
    responses=answers(401, 403, 404, 422, 429, 503),
    summary="Why does a contact get its flow?",
)
def explain(caller: Viewer, contact_id: UUID) -> Response:
    """Every enabled flow in order of priority, each condition with the value seen, as if the contact were new now."""
    from engage_pipeline.matching.explain import explain_contact
    from engage_pipeline.matching.program import Program

    with caller.read() as session:
        flows = [flow for flow in list_flows(session.connection, session.tenant) if flow.definition.is_enabled]
        [explanation] = explain_contact(
            session.connection, session.url, str(contact_id), now=utc_now(), program=Program(flows)
        )
    return Answer.of(asdict(explanation)).response()


@router.post(
    f"{_FLOWS}/{{flow_id}}/test-runs",
    status_code=201,
    response_model=ExecutionDetail,
    responses=_POSTED,
    summary="Send a contact through a flow without sending anything",
)
def test_run(caller: EditorPosting, flow_id: UUID, given: TestRunIn) -> Response:
    """An execution whose requests are recorded instead of sent. It counts in no rate."""

    def work(session: Session) -> Answer:
        stored = find_flow_of_id(session.connection, session.tenant, flow_id)
        execution_id = start_test_run(session.connection, stored, given.contact_id, now=utc_now())
        return _execution(session, execution_id, status=201)

    return caller.write(work)


@router.post(
    "/auto-engagement/action-logs/{action_log_id}/resolve",
    response_model=ExecutionDetail,
    responses={**_POSTED, **answers(409)},
    summary="Say what became of an unknown action",
)
def resolve(caller: EditorPosting, action_log_id: UUID, given: ResolutionIn) -> Response:
    """Its execution goes on from there. Nothing is sent again."""

    def work(session: Session) -> Answer:
        execution_id = execution_of_log(session.connection, action_log_id, user_id=session.user_id)
        resolve_unknown(session.connection, action_log_id, given.outcome, now=utc_now())
        return _execution(session, execution_id)

    return caller.write(work)


def _execution(session: Session, execution_id: UUID, *, status: int = 200) -> Answer:
    found = find_execution(session.connection, execution_id, user_id=session.user_id, with_results=True)
    shown = detail_view(found, contact_of_execution(session.connection, found["contact_id"]))
    location = {"Location": f"/api/auto-engagement/executions/{execution_id}"} if status == 201 else {}
    return Answer.of(shown, status, **location)
