"""Assembles the API, and puts it beside the webhook application in one ASGI application."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.opening import unsubscribe_links
from engage_pipeline.analytics.marts import OpenWarehouse
from engage_pipeline.api.guard import Guard
from engage_pipeline.api.health import HealthCheck
from engage_pipeline.api.metrics import Metrics
from engage_pipeline.api.problems import Problem, handle_problems
from engage_pipeline.api.rate_limits import RateLimits
from engage_pipeline.api.remembered import Remembered
from engage_pipeline.api.routes import (
    contacts,
    executions,
    flows,
    health,
    planning,
    sending,
    statistics,
    suppressions,
    templates,
    uploads,
)
from engage_pipeline.api.services import Services
from engage_pipeline.api.sessions import TenantDatabase
from engage_pipeline.api.tokens import TokenVerifier
from engage_pipeline.database.api_role import api_url
from engage_pipeline.settings import Settings
from engage_pipeline.webhooks.app import WebhookApp
from engage_pipeline.webhooks.endpoints import Endpoints

UPLOADS = "/api/uploads"
_DESCRIPTION = """Flows, contacts and executions of one tenant, which the token names.

Errors are problem details (RFC 9457) with a stable `code` and a `fix`. Lists have pages: pass `next_cursor` back as
`cursor`. A flow's `ETag` goes back as `If-Match`, so that nobody's change is lost. A POST with an `Idempotency-Key` is
carried out once, however often it is repeated."""


def create_api(settings: Settings, url: str) -> FastAPI:
    """The API alone. Its connections open with its lifespan.

    Raises:
        JwtKeyMissing, JwtKeyUnfit: nobody has said, or not properly, how tokens are signed.
    """
    database = tenant_database(settings, url)
    services = Services(
        settings,
        database,
        TokenVerifier(settings),
        RateLimits(settings),
        Metrics(database.pool),
        HealthCheck(url),
        OpenWarehouse(settings.warehouse),
        Remembered(),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # As many requests at work as there are connections: more would only wait for one.
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.api_connections
        await anyio.to_thread.run_sync(database.open)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(database.close)
            services.warehouse.close()
            services.counts.close()

    app = FastAPIOffline(
        title="Engage Pipeline",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url="/api/docs",
        redoc_url=None,
        swagger_ui_oauth2_redirect_url="/api/docs/oauth2-redirect",
        static_url="/api/docs-files",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.services = services
    handle_problems(app)
    for routes in (
        executions,
        flows,
        statistics,
        contacts,
        uploads,
        planning,
        templates,
        suppressions,
        sending,
        health,
    ):
        app.include_router(routes.router)
    app.add_middleware(Guard, services=lambda: services, upload_path=UPLOADS)
    origins = [each.strip() for each in settings.cors_origins.split(",") if each.strip() not in ("", "none")]
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "Idempotency-Key"],
            expose_headers=["ETag", "Location", "Retry-After", "Idempotency-Replayed"],
            max_age=600,
        )
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def tenant_database(settings: Settings, url: str) -> TenantDatabase:
    """The API's way into the database, not yet open."""
    return TenantDatabase(
        settings.api_database_url or api_url(url),
        connections=settings.api_connections,
        statement_seconds=settings.api_statement_seconds,
    )


def create_app(settings: Settings, url: str) -> Starlette:
    """The webhook application, with the API at every other path."""
    keyring = Keyring(settings)
    webhooks = WebhookApp(url, Endpoints(url, keyring), unsubscribe_links(settings, keyring)).app()
    api = create_api(settings, url)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with webhooks.router.lifespan_context(webhooks), api.router.lifespan_context(api):
            yield

    app = Starlette(routes=list(webhooks.routes), lifespan=lifespan)
    # Whatever the webhooks do not know; a mount would miss paths with a line break, and answer in plain text.
    app.router.default = api
    return app


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The API's own models."""
    for model in base.__subclasses__():
        if model.__module__.startswith(f"{__package__}."):
            yield model
        yield from _models(model)


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; every refused field is a problem, and not what the framework says on its own."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs"))
        schemas["Problem"] = problem
        document["components"]["securitySchemes"] = {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A token of `engage token create`, or of your own issuer.",
            }
        }
        for path, methods in document["paths"].items():
            for operation in methods.values():
                operation["security"] = [] if path in health.OPEN else [{"token": []}]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        # The framework leaves out what is null, of examples too, where it is part of what is shown.
        for model in _models(BaseModel):
            extra = model.model_config.get("json_schema_extra")
            if model.__name__ in schemas and isinstance(extra, dict):
                schemas[model.__name__] |= extra
        app.openapi_schema = document
    return app.openapi_schema
