"""The bare FastAPI application beside which the API is measured: the same token, role and statements, and nothing else.

No filters, problems, limits, headers, metrics or views: plain functions in threads, psycopg's pool, rows as they come.
"""

import os
import sys
from typing import Annotated, Any
from uuid import UUID

import anyio.to_thread
import duckdb
import jwt
import uvicorn
from fastapi import Depends, FastAPI, Header
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from engage_pipeline.database.api_role import api_url
from engage_pipeline.database.statements import load_statement
from engage_pipeline.execution import reading
from engage_pipeline.settings import Settings

settings = Settings()
pool = ConnectionPool(
    api_url(os.environ["ENGAGE_DATABASE_URL"]),
    min_size=1,
    max_size=settings.api_connections,
    kwargs={"autocommit": True, "row_factory": dict_row},
    open=False,
)
app = FastAPI()
warehouse = duckdb.connect(settings.warehouse, read_only=True)
HERE = reading._HERE


async def tenant(authorization: Annotated[str, Header()]) -> str:
    """The tenant of the token."""
    claims = jwt.decode(
        authorization.removeprefix("Bearer "),
        os.environ["ENGAGE_JWT_SECRET"],
        algorithms=["HS256"],
        issuer="engage",
        audience="engage-api",
    )
    return str(claims["tenant_id"])


Tenant = Annotated[str, Depends(tenant)]


def _rows(user_id: str, *questions: tuple[str, dict[str, Any]]) -> list[Any]:
    with pool.connection() as connection, connection.transaction():
        connection.execute("select set_config('engage.tenant', %s, true)", [user_id])
        return [connection.execute(statement, given).fetchall() for statement, given in questions]


def _executions(condition: str) -> str:
    return load_statement(HERE, "list_executions").format(conditions=condition, direction="desc")


@app.get("/api/auto-engagement/executions")
def executions(user_id: Tenant, limit: int = 50) -> Any:
    """A page of executions."""
    statement = _executions("executions.user_id = %(user_id)s")
    return _rows(user_id, (statement, {"user_id": user_id, "at_most": limit + 1}))[0]


@app.get("/api/auto-engagement/executions/statistics")
def counts(user_id: Tenant) -> Any:
    """Executions by status."""
    statement = load_statement(HERE, "count_executions").format(conditions="executions.user_id = %(user_id)s")
    return _rows(user_id, (statement, {"user_id": user_id}))[0]


@app.get("/api/auto-engagement/executions/{execution_id}")
def execution(user_id: Tenant, execution_id: UUID) -> Any:
    """One execution, its logs and its contact."""
    with pool.connection() as connection, connection.transaction():
        connection.execute("select set_config('engage.tenant', %s, true)", [user_id])
        found = connection.execute(
            _executions("executions.user_id = %(user_id)s and executions.id = %(execution_id)s"),
            {"user_id": user_id, "execution_id": execution_id, "at_most": 1},
        ).fetchall()
        logs = connection.execute(
            load_statement(HERE, "find_logs"), {"execution_id": execution_id, "with_results": True}
        ).fetchall()
        contact = connection.execute(
            "select id, first_name, last_name, phone_e164, email from contacts where id = %s", [found[0]["contact_id"]]
        ).fetchall()
    return [found, logs, contact]


_FLOWS = (
    "select flows.id, flows.user_id, flows.version, flows.created_at, flows.updated_at, flows.deleted_at,"
    " versions.definition from auto_engagement_flows as flows"
    " inner join flow_versions as versions on versions.flow_id = flows.id and versions.version = flows.version"
)


@app.get("/api/auto-engagement/flows")
def flows(user_id: Tenant) -> Any:
    """A page of flows."""
    statement = (
        f"{_FLOWS} where flows.user_id = %(user_id)s and flows.deleted_at is null order by flows.priority limit 51"
    )
    return _rows(user_id, (statement, {"user_id": user_id}))[0]


@app.get("/api/auto-engagement/flows/{flow_id}/statistics")
def flow_statistics(user_id: Tenant, flow_id: UUID) -> Any:
    """What the warehouse says of a flow."""
    found = _rows(
        user_id,
        (f"{_FLOWS} where flows.id = %(id)s and flows.user_id = %(user_id)s", {"id": flow_id, "user_id": user_id}),
    )[0]
    cursor = warehouse.cursor()
    answers: list[Any] = [found]
    for mart in ("flow_success_rates", "action_success_rates"):
        answer = cursor.execute(
            f"select * exclude (user_id) from {mart} where user_id = ? and flow_id = ? limit 1000",
            [UUID(user_id), flow_id],
        )
        names = [column[0] for column in answer.description]
        answers.append([dict(zip(names, row, strict=True)) for row in answer.fetchall()])
        answers.append(cursor.execute("select as_of from warehouse_build").fetchall())
    answers.append(
        cursor.execute(
            "select execution_status, count(*) from dim_executions"
            " where user_id = ? and flow_id = ? and not is_test_run group by execution_status",
            [UUID(user_id), flow_id],
        ).fetchall()
    )
    cursor.close()
    return answers


@app.on_event("startup")
async def start() -> None:
    """As many threads as connections, as in the API."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = settings.api_connections
    pool.open()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
