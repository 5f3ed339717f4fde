"""The sandbox's answers and webhooks against the providers' specifications. Skipped where these are not at hand."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from engage_pipeline.channels.sandbox.behaviour import Behaviour
from engage_pipeline.channels.sandbox.course import course_of
from engage_pipeline.channels.sandbox.keys import new_key
from engage_pipeline.channels.sandbox.record import Entry, utc_now
from engage_pipeline.channels.sandbox.telling import Subject, happening, webhook_body
from tests.specifications import mistakes, request_schema, response_schema, specification

KEY = {"Authorization": "Bearer nobody"}
AGENT = "7f0c9a52-3d1e-4b8a-9c64-2e5d8f1b7a30"
NOBODYS = "00000000-0000-4000-8000-000000000000"
"""Written out, as it is part of names of tests, which every process of a run must find alike."""

CALL = {"agent_id": AGENT, "recipient_phone_number": "+15550100123", "user_data": {"action_log_id": str(uuid4())}}
MAIL = {"from": "a@example.com", "to": ["b@example.com"], "subject": "Hello", "text": "x"}
CALL_STATUSES = ["completed", "busy", "no-answer", "failed", "balance-low"]


@pytest.fixture
def ask(sandbox):
    with httpx.Client(base_url=sandbox.url, headers=KEY, trust_env=False) as client:
        yield client.request


@pytest.fixture
def bolna(shared_folder):
    return specification(shared_folder, "bolna-openapi.yml")


@pytest.fixture
def resend(shared_folder):
    return specification(shared_folder, "resend.yaml")


@pytest.fixture
def meta(shared_folder):
    return specification(shared_folder, "meta-business-messaging-api_v23.0.yaml")


def place_call(ask, **headers):
    answer = ask("POST", "/bolna/call", json=CALL, headers=headers)
    assert answer.status_code == 200
    return answer.json()


def test_a_placed_call(ask, bolna):
    schema = response_schema("/call", "post", 200)
    placed = place_call(ask)
    assert mistakes(bolna, schema, placed) == []
    assert mistakes(bolna, schema, {**placed, "status": "placed"})


@pytest.mark.parametrize("status", CALL_STATUSES)
@pytest.mark.parametrize("voicemail_share", [0, 1])
def test_a_call_whatever_became_of_it(ask, sandbox, bolna, status, voicemail_share):
    sandbox.behave(outcome_seconds=0, voicemail_share=voicemail_share, answered_share=0)
    placed = place_call(ask, **{"X-Sandbox-Outcome": status})
    execution = ask("GET", f"/bolna/executions/{placed['execution_id']}").json()
    assert execution["status"] == status
    schema = response_schema("/executions/{execution_id}", "get", 200)
    assert mistakes(bolna, schema, execution) == []
    assert mistakes(bolna, schema, {**execution, "status": "over"})


def test_a_call_that_is_not_over_and_one_that_was_stopped(ask, sandbox, bolna):
    sandbox.behave(outcome_seconds=3600)
    execution_id = place_call(ask)["execution_id"]
    schema = response_schema("/executions/{execution_id}", "get", 200)
    assert mistakes(bolna, schema, ask("GET", f"/bolna/executions/{execution_id}").json()) == []
    stopped = ask("POST", f"/bolna/call/{execution_id}/stop").json()
    assert stopped == {"message": "done", "status": "stopped", "execution_id": execution_id}
    execution = ask("GET", f"/bolna/executions/{execution_id}").json()
    assert (execution["status"], mistakes(bolna, schema, execution)) == ("stopped", [])


def test_the_list_of_calls_and_the_account(ask, bolna):
    for _ in range(3):
        place_call(ask)
    listed = ask("GET", f"/bolna/v2/agent/{AGENT}/executions?page_size=2").json()
    schema = response_schema("/v2/agent/{agent_id}/executions", "get", 200)
    assert (len(listed["data"]), mistakes(bolna, schema, listed)) == (2, [])
    assert mistakes(bolna, schema, {**listed, "has_more": "yes"})
    assert mistakes(bolna, response_schema("/user/me", "get", 200), ask("GET", "/bolna/user/me").json()) == []


@pytest.mark.parametrize(
    ("method", "path", "of"),
    [
        ("POST", "/bolna/call", "/call"),
        ("POST", f"/bolna/call/{NOBODYS}/stop", "/call/{execution_id}/stop"),
        ("GET", f"/bolna/executions/{NOBODYS}", "/executions/{execution_id}"),
        ("GET", f"/bolna/v2/agent/{AGENT}/executions?page_size=99", "/v2/agent/{agent_id}/executions"),
    ],
)
def test_bolnas_complaints(ask, bolna, method, path, of):
    answer = ask(method, path)
    assert answer.status_code in (400, 404)
    assert mistakes(bolna, response_schema(of, method.lower(), 400), answer.json()) == []


@pytest.mark.parametrize("path", ["/bolna/user/me", f"/bolna/executions/{NOBODYS}", f"/resend/emails/{NOBODYS}"])
def test_nobody_reads_without_a_key(ask, bolna, path):
    answer = ask("GET", path, headers={"Authorization": ""})
    assert answer.status_code == 401
    if "bolna" in path:
        assert mistakes(bolna, response_schema("/user/me", "get", 401), answer.json()) == []
    assert ask("GET", path, headers={"Authorization": "Bearer invalid"}).status_code == 403


def test_a_message_that_was_taken(ask, meta):
    template = {"name": "welcome", "language": {"code": "en_US"}}
    body = {"messaging_product": "whatsapp", "to": "15550100123", "type": "template", "template": template}
    taken = ask("POST", "/whatsapp/v23.0/1/messages", json=body).json()
    schema = response_schema("/{Version}/{Phone-Number-ID}/messages", "post", 200)
    assert mistakes(meta, schema, taken) == []
    assert mistakes(meta, schema, {**taken, "messages": "x"})


def test_an_email_that_was_taken_and_is_read_back(ask, sandbox, resend):
    sandbox.behave(outcome_seconds=0)
    taken = ask("POST", "/resend/emails", json=MAIL).json()
    assert mistakes(resend, response_schema("/emails", "post", 200), taken) == []
    email = ask("GET", f"/resend/emails/{taken['id']}").json()
    schema = response_schema("/emails/{email_id}", "get", 200)
    assert mistakes(resend, schema, email) == []
    assert mistakes(resend, schema, {**email, "to": "b@example.com"})


def test_an_email_by_sendgrid_has_an_empty_answer(ask, shared_folder):
    body = {
        "personalizations": [{"to": [{"email": "b@example.com"}]}],
        "from": {"email": "a@example.com"},
        "subject": "Hello",
        "content": [{"type": "text/plain", "value": "x"}],
    }
    answer = ask("POST", "/sendgrid/v3/mail/send", json=body)
    documented = specification(shared_folder, "sendgrid_mail_send.json")["mail_send"]["post"]["responses"]["202"]
    assert "content" not in documented
    assert (answer.status_code, answer.content) == (202, b"")


def happenings(provider, ending):
    """What the provider would tell of one request that ends so, stage by stage."""
    entry = Entry("effect", provider, str(uuid4()), str(uuid4()), "0", utc_now().isoformat(), agent_id=AGENT)
    at = datetime(2026, 11, 24, 10, tzinfo=UTC)
    course = course_of(Behaviour(), provider, "0", 1, at=at, forced=ending)
    subject = Subject(entry, "b@example.com" if provider == "resend" else "15550100123", course, new_key())
    return [(stage.status, happening(subject, stage, at + timedelta(seconds=1))) for stage in course.stages]


@pytest.mark.parametrize("ending", ["delivered", "opened", "bounced", "complained", "failed"])
def test_resends_webhooks(resend, ending):
    told = happenings("resend", ending)
    assert told[-1][0] == ending
    for status, body in told:
        assert mistakes(resend, request_schema(f"email.{status}", among="webhooks"), body) == []
    assert mistakes(resend, request_schema(f"email.{ending}", among="webhooks"), {**body, "type": "email.other"})


@pytest.mark.parametrize("ending", CALL_STATUSES)
def test_bolnas_webhooks_are_what_a_read_gives(bolna, ending):
    for status, body in happenings("bolna", ending):
        assert body["status"] == status
        assert mistakes(bolna, "/components/schemas/AgentExecution", body) == []


@pytest.mark.parametrize("ending", ["read", "delivered", "failed"])
def test_metas_webhooks(meta, ending):
    schema = request_schema("/whatsapp/webhooks")
    for _, status in happenings("whatsapp", ending):
        body = json.loads(webhook_body("whatsapp", [status]))
        assert mistakes(meta, schema, body) == []
    assert mistakes(meta, schema, {**body, "entry": "x"})
