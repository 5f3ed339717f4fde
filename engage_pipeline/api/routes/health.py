"""Whether the API lives, whether the installation is ready, and what is counted. The first two need no token."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import Admin
from engage_pipeline.api.problems import answers
from engage_pipeline.clock import utc_now

router = APIRouter(tags=["health"])

OPEN = ("/api/health", "/api/health/live")
"""What takes no token."""

_READY: dict[str, Any] = {
    "status": "ready",
    "checks": {"database": "ok", "migrations": "ok", "daemon": "ok"},
}


class Checks(BaseModel):
    """`ok`, or what is wrong."""

    database: str
    migrations: str
    daemon: str


class HealthOut(BaseModel):
    """How the installation is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_READY]})

    status: Literal["ready", "not ready"]
    checks: Checks


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "alive"}]})

    status: Literal["alive"]


@router.get(
    "/api/health",
    response_model=HealthOut,
    responses={503: {"model": HealthOut, "description": "Something is not well."}, **answers(429)},
    summary="Is the installation ready?",
)
def health(request: Request) -> Response:
    """Ready when the database answers, has this version's schema, and Dagster's daemon reports. 503 when not."""
    found = request.app.state.services.health.look(now=utc_now())
    checks: dict[str, Any] = {name: words or "ok" for name, words in vars(found).items()}
    status = "ready" if found.is_ready else "not ready"
    return Answer.of({"status": status, "checks": checks}, 200 if found.is_ready else 503).response()


@router.get("/api/health/live", response_model=Alive, responses=answers(429), summary="Does the process live?")
async def live() -> Response:
    """Nothing is looked at: an answer is the answer."""
    return Answer.of({"status": "alive"}).response()


@router.get(
    "/metrics",
    responses={
        200: {
            "description": "Prometheus's text format.",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": 'engage_api_requests_total{method="GET",path="/api/health",status="200"} 1.0\n',
                }
            },
        },
        **answers(401, 403, 429),
    },
    response_class=Response,
    summary="Figures for Prometheus",
)
def metrics(caller: Admin) -> Response:
    """Requests by endpoint and status, their times, and the connections. Of the whole process, and of no tenant."""
    return Response(caller.services.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
