"""Executions: list, count, read, cancel; all of a tenant, or those of one flow."""

from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import EditorPosting, Viewer
from engage_pipeline.api.errors import ExecutionEnded
from engage_pipeline.api.pages import Cursor, Limit, identifier, instant, next_cursor, place_of, split_page
from engage_pipeline.api.problems import answers
from engage_pipeline.api.routes.execution_models import (
    ExecutionCounts,
    ExecutionDetail,
    ExecutionPage,
    detail_view,
    execution_view,
)
from engage_pipeline.api.sessions import Session
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.cancel import cancel_executions
from engage_pipeline.execution.reading import ExecutionFilter, count_executions, find_execution, list_executions
from engage_pipeline.flows.reading import show_flow
from engage_pipeline.privacy.contacts import contact_of_execution

router = APIRouter(prefix="/api/auto-engagement", tags=["executions"])

Status = Literal["pending", "running", "completed", "failed", "cancelled", "skipped"]
_READ = answers(401, 403, 404, 422, 429, 503)


class Narrowing(BaseModel):
    """The filters that the lists and the counts share. One model, as many parameters cost more than the statements."""

    status: list[Status] | None = Field(default=None, description="Any of these.")
    contact_id: UUID | None = Field(default=None, description="Only this contact's.")
    triggered_from: AwareDatetime | None = Field(default=None, description="With a zone; inclusive.")
    triggered_before: AwareDatetime | None = Field(default=None, description="With a zone; exclusive.")
    is_test_run: bool | None = Field(default=None, description="Only test runs, or none of them.")

    def of(self, user_id: UUID, flow_id: UUID | None, *, unknown: bool = False) -> ExecutionFilter:
        """The filter for a tenant."""
        return ExecutionFilter(
            user_id=user_id,
            flow_id=flow_id,
            contact_id=self.contact_id,
            statuses=tuple(self.status or ()),
            triggered_from=self.triggered_from,
            triggered_before=self.triggered_before,
            is_test_run=self.is_test_run,
            unknown=unknown,
        )


class NarrowingOfAll(Narrowing):
    """The same over all flows."""

    flow_id: UUID | None = Field(default=None, description="Only this flow's.")


class PageOfFlow(Narrowing):
    """A page of a flow's executions."""

    unknown: bool = Field(default=False, description="Only those with an action that waits for a person.")
    limit: Limit = 50
    cursor: Cursor = None
    sort: Literal["-triggered_at", "triggered_at"] = Field(
        default="-triggered_at", description="`-` is the newest first."
    )


class PageOfAll(PageOfFlow, NarrowingOfAll):
    """A page of executions of all flows."""


@router.get("/executions", response_model=ExecutionPage, responses=_READ, summary="List executions")
def list_all(caller: Viewer, asked: Annotated[PageOfAll, Query()]) -> Response:
    """The tenant's executions, the newest first."""
    with caller.read() as session:
        return _page(session, asked, asked.flow_id)


@router.get(
    "/flows/{flow_id}/executions", response_model=ExecutionPage, responses=_READ, summary="List a flow's executions"
)
def list_of_flow(caller: Viewer, flow_id: UUID, asked: Annotated[PageOfFlow, Query()]) -> Response:
    """The executions of all versions of a flow, the newest first; of a deleted flow, too."""
    with caller.read() as session:
        show_flow(session.connection, session.user_id, flow_id, even_deleted=True)
        return _page(session, asked, flow_id)


@router.get("/executions/statistics", response_model=ExecutionCounts, responses=_READ, summary="Count executions")
def count(caller: Viewer, asked: Annotated[NarrowingOfAll, Query()]) -> Response:
    """How many executions are in each state, from the ledger. Asked often, they are some seconds old (`as_of`)."""
    principal, database = caller.principal, caller.services.database
    which = asked.of(principal.user_id, asked.flow_id)

    def read() -> dict[str, Any]:
        with database.session(principal.user_id, read_only=True) as session:
            now = utc_now()
            counts = count_executions(session.connection, replace(which, user_id=session.user_id))
        ended = counts["completed"] + counts["failed"]
        rate = counts["completed"] / ended if ended else None
        return {"as_of": now, "total": sum(counts.values()), **counts, "completion_rate": rate}

    return Answer.of(caller.services.counts.get(which, read)).response()


@router.get("/executions/{execution_id}", response_model=ExecutionDetail, responses=_READ, summary="Read an execution")
def read(caller: Viewer, execution_id: UUID) -> Response:
    """One execution with its contact and its timeline: each action, what became of it, and what came back."""
    with caller.read() as session:
        return _detail(session, execution_id).response()


@router.post(
    "/executions/{execution_id}/cancel",
    response_model=ExecutionDetail,
    responses=answers(400, 401, 403, 404, 409, 413, 422, 429, 503),
    summary="Cancel an execution",
)
def cancel(caller: EditorPosting, execution_id: UUID) -> Response:
    """What is pending is skipped, what was done stays, and a request that is on its way keeps its course."""

    def work(session: Session) -> Answer:
        before = find_execution(session.connection, execution_id, user_id=session.user_id)
        cancelled = cancel_executions(session.connection, [execution_id], reason="cancelled", now=utc_now())
        if not cancelled:
            raise ExecutionEnded(before["status"])
        return _detail(session, execution_id)

    return caller.write(work)


def _page(session: Session, asked: PageOfFlow, flow_id: UUID | None) -> Response:
    which = asked.of(session.user_id, flow_id, unknown=asked.unknown)
    after = place_of(asked.cursor, asked.sort, (instant, identifier))
    found = list_executions(
        session.connection, which, oldest_first=asked.sort == "triggered_at", after=after, at_most=asked.limit + 1
    )
    rows, more = split_page(found, asked.limit)
    cursor = next_cursor(asked.sort, (rows[-1]["triggered_at"], rows[-1]["execution_id"])) if more else None
    return Answer.of({"items": [execution_view(each) for each in rows], "next_cursor": cursor}).response()


def _detail(session: Session, execution_id: UUID) -> Answer:
    found = find_execution(session.connection, execution_id, user_id=session.user_id, with_results=True)
    return Answer.of(detail_view(found, contact_of_execution(session.connection, found["contact_id"])))
