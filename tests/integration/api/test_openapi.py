"""The OpenAPI document is whole, and schemathesis finds no answer that it does not describe."""

import re
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis import checks

from engage_pipeline.api.app import create_app
from tests.integration.api.conftest import Api
from tests.integration.api.world import make_theirs

CLIENTS = {
    ("get", "/api/auto-engagement/flows"),
    ("post", "/api/auto-engagement/flows"),
    ("get", "/api/auto-engagement/flows/{flow_id}"),
    ("patch", "/api/auto-engagement/flows/{flow_id}"),
    ("delete", "/api/auto-engagement/flows/{flow_id}"),
    ("patch", "/api/auto-engagement/flows/{flow_id}/toggle"),
    ("put", "/api/auto-engagement/flows/{flow_id}/conditions"),
    ("put", "/api/auto-engagement/flows/{flow_id}/actions"),
    ("post", "/api/auto-engagement/flows/priorities/bulk-update"),
    ("get", "/api/auto-engagement/flows/{flow_id}/executions"),
    ("get", "/api/auto-engagement/flows/{flow_id}/statistics"),
    ("get", "/api/auto-engagement/executions"),
    ("get", "/api/auto-engagement/executions/statistics"),
    ("get", "/api/auto-engagement/executions/{execution_id}"),
    ("post", "/api/auto-engagement/executions/{execution_id}/cancel"),
    ("get", "/api/health"),
}
EXAMPLES = 12
"""For each operation; enough for CI, and a few hundred find nothing more."""

OPEN = {"/api/health", "/api/health/live"}


def document(api: Api) -> dict[str, Any]:
    answer = api.client.get("/api/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def examples_of(described: dict[str, Any], content: dict[str, Any]) -> bool:
    """Whether a body has an example, its own or its schema's."""
    schema = content.get("schema", {})
    if schema.get("type") == "array":
        schema = schema["items"]
    for each in (schema, *schema.get("anyOf", ())):
        name = each.get("$ref", "").rpartition("/")[2]
        found = described["components"]["schemas"].get(name, each)
        if "example" in content or "example" in found or found.get("examples"):
            return True
    return schema.get("format") == "binary"


def test_the_clients_sixteen_endpoints_are_all_there(api: Api):
    there = {(method, path) for method, path, _ in operations(document(api))}
    assert there >= CLIENTS


def test_every_operation_is_described_with_examples_and_its_problems(api: Api):
    described = document(api)
    for method, path, operation in operations(described):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert len(operation["description"]) > 20, where
        assert operation["tags"], where
        if path not in OPEN:
            assert operation["security"], where
            assert {"401", "403", "429"} <= operation["responses"].keys(), where
        for status, answer in operation["responses"].items():
            if status == "204":
                continue
            for media, content in answer["content"].items():
                assert examples_of(described, content), (where, status)
                if int(status) >= 400 and path not in OPEN:
                    assert media == "application/problem+json", (where, status)
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert examples_of(described, content), where


def test_the_examples_of_bodies_fit_their_schemas(api: Api):
    import jsonschema

    described = document(api)
    for name, schema in described["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            whole = {**schema, "components": described["components"]}
            try:
                jsonschema.validate(example, whole)
            except jsonschema.ValidationError as error:
                pytest.fail(f"{name}: {error.message}")


def test_documentation_is_served_and_loads_nothing_from_elsewhere(api: Api):
    page = api.client.get("/api/docs")
    assert page.status_code == 200
    assert "/api/openapi.json" in page.text
    assert "default-src 'self';" in page.headers["content-security-policy"]
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 3
    for file in files:
        assert file.startswith("/")
        assert api.client.get(file).status_code == 200


def test_schemathesis_finds_no_server_error_and_no_answer_that_is_not_described(api: Api):
    """A short form for CI: a few requests for every operation, right ones and wrong ones."""
    theirs = make_theirs(api)
    api.publish_warehouse()
    api.report_of_daemon()
    api.tenants["acme"] = api.tenants["other"]
    token = api.token()
    # An application of its own: it is started and ended for each request, in an event loop of its own.
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", create_app(api.settings, api.url))
    known = {**theirs.ids, "mart": "channel_performance"}
    wanted = (
        checks.not_a_server_error,
        schemathesis.specs.openapi.checks.status_code_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
        schemathesis.specs.openapi.checks.response_schema_conformance,
        schemathesis.specs.openapi.checks.response_headers_conformance,
    )
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @hypothesis.given(case=operation.as_strategy(), uses_known=hypothesis.strategies.booleans())
        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def send(case: schemathesis.Case, uses_known: bool) -> None:
            nonlocal tried
            tried += 1
            if uses_known and case.path_parameters:
                case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
            answer = case.call(headers={"Authorization": f"Bearer {token}"})
            case.validate_response(answer, checks=wanted)

        send()
    assert tried > 300
