"""Executions: list, count, read, cancel; all of a tenant, or those of one flow."""

from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime

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
Sort = Literal["-triggered_at", "triggered_at"]
_READ = answers(401, 403, 404, 422, 429, 503)


async def _narrowing(
    status: Annotated[list[Status] | None, Query(description="Any of these.")] = None,
    contact_id: Annotated[UUID | None, Query(description="Only this contact's.")] = None,
    triggered_from: Annotated[AwareDatetime | None, Query(description="With a zone; inclusive.")] = None,
    triggered_before: Annotated[AwareDatetime | None, Query(description="With a zone; exclusive.")] = None,
    is_test_run: Annotated[bool | None, Query(description="Only test runs, or none of them.")] = None,
) -> ExecutionFilter:
    """The filters that the lists and the counts share; whose executions they are is not said here."""
    return ExecutionFilter(
        statuses=tuple(status or ()),
        contact_id=contact_id,
        triggered_from=triggered_from,
        triggered_before=triggered_before,
        is_test_run=is_test_run,
    )


Narrowed = Annotated[ExecutionFilter, Depends(_narrowing)]
Sorted = Annotated[Sort, Query(description="`-` is the newest first.")]
Unknown = Annotated[bool, Query(description="Only those with an action that waits for a person.")]


@router.get("/executions", response_model=ExecutionPage, responses=_READ, summary="List executions")
def list_all(
    caller: Viewer,
    narrowing: Narrowed,
    flow_id: Annotated[UUID | None, Query(description="Only this flow's.")] = None,
    unknown: Unknown = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    sort: Sorted = "-triggered_at",
) -> Response:
    """The tenant's executions, the newest first."""
    with caller.read() as session:
        which = replace(narrowing, user_id=session.user_id, flow_id=flow_id, unknown=unknown)
        return _page(session, which, limit=limit, cursor=cursor, sort=sort)


@router.get(
    "/flows/{flow_id}/executions", response_model=ExecutionPage, responses=_READ, summary="List a flow's executions"
)
def list_of_flow(
    caller: Viewer,
    flow_id: UUID,
    narrowing: Narrowed,
    unknown: Unknown = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    sort: Sorted = "-triggered_at",
) -> Response:
    """The executions of all versions of a flow, the newest first; of a deleted flow, too."""
    with caller.read() as session:
        show_flow(session.connection, session.user_id, flow_id, even_deleted=True)
        which = replace(narrowing, user_id=session.user_id, flow_id=flow_id, unknown=unknown)
        return _page(session, which, limit=limit, cursor=cursor, sort=sort)


@router.get("/executions/statistics", response_model=ExecutionCounts, responses=_READ, summary="Count executions")
def count(
    caller: Viewer,
    narrowing: Narrowed,
    flow_id: Annotated[UUID | None, Query(description="Only this flow's.")] = None,
) -> Response:
    """How many executions are in each state, from the ledger. Asked often, they are some seconds old (`as_of`)."""
    principal, database = caller.principal, caller.services.database
    which = replace(narrowing, user_id=principal.user_id, flow_id=flow_id)

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


def _page(session: Session, which: ExecutionFilter, *, limit: int, cursor: str | None, sort: Sort) -> Response:
    after = place_of(cursor, sort, (instant, identifier))
    found = list_executions(
        session.connection, which, oldest_first=sort == "triggered_at", after=after, at_most=limit + 1
    )
    rows, more = split_page(found, limit)
    last = rows[-1] if more else None
    return Answer.of(
        {
            "items": [execution_view(each) for each in rows],
            "next_cursor": last and next_cursor(sort, (last["triggered_at"], last["execution_id"])),
        }
    ).response()


def _detail(session: Session, execution_id: UUID) -> Answer:
    found = find_execution(session.connection, execution_id, user_id=session.user_id, with_results=True)
    return Answer.of(detail_view(found, contact_of_execution(session.connection, found["contact_id"])))
