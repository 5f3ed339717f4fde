"""The docs' example of a new provider, as it stands there, behind the rules that every channel has."""

import json
from uuid import UUID

import httpx
import pytest

from engage_pipeline.channels import mail, protocol, provider, responses, sendgrid
from engage_pipeline.channels.account import Account
from engage_pipeline.channels.answers import Accepted, Refused, TryLater, Unknown
from engage_pipeline.channels.protocol import Recipient, Skip
from engage_pipeline.channels.templates import Template
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks
from engage_pipeline.settings import PROJECT_ROOT

REFERENCE = "3f2b8a52-6a0f-4f53-9f0e-2f6f0b3f4d11"
PAGE = (PROJECT_ROOT / "docs" / "channels.md").read_text()
EXAMPLE = PAGE[PAGE.index("## Adding a provider") :].split("```python")[1].split("```")[0]
WELCOME = Template("welcome", "email", {"subject": "Hello {{ first_name }}", "text": "Welcome"})


@pytest.fixture(scope="module")
def channel():
    names = {}
    for module in (sendgrid, responses, mail, protocol, provider):
        names.update(vars(module))
    exec(compile(EXAMPLE, "docs/channels.md", "exec"), names)  # noqa: S102 - the project's own page
    account = Account(
        UUID(int=1),
        UUID(int=2),
        "postmark",
        "sandbox",
        "http://127.0.0.1/postmark",
        credentials={"api_key": "planted-key"},
        settings={"sender": "Acme <hello@acme.example>"},
        templates={"welcome": WELCOME},
        unsubscribe=UnsubscribeLinks("https://hooks.example.com", b"key"),
    )
    return names["PROVIDER"].open_channel(account)


async def answer_to(channel, status, body):
    seen = []

    def respond(request):
        seen.append(request)
        return httpx.Response(status, content=json.dumps(body).encode())

    request = channel.prepare(Recipient(email="asha@example.com", first_name="Asha"), CONFIG, reference=REFERENCE)
    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        return await channel.send(client, request, reference=REFERENCE), seen[0]


CONFIG = {"template_id": "welcome"}


async def test_the_request_is_postmarks(channel):
    answer, request = await answer_to(channel, 200, {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a"})
    assert answer == Accepted("b7bc2f4a")
    assert request.headers["X-Postmark-Server-Token"] == "planted-key"
    body = json.loads(request.content)
    assert (body["To"], body["Subject"], body["Metadata"]) == (
        "asha@example.com",
        "Hello Asha",
        {"action_log_id": REFERENCE},
    )
    assert {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"} in body["Headers"]


@pytest.mark.parametrize(
    ("status", "body", "answer_type"),
    [
        (422, {"ErrorCode": 300, "Message": "Invalid email request"}, Refused),
        (401, {"ErrorCode": 10, "Message": "No Account or Server API tokens were supplied"}, TryLater),
        (429, {}, TryLater),
        (500, {}, Unknown),
        (200, {}, Unknown),
    ],
)
async def test_its_answers_are_sorted(channel, status, body, answer_type):
    answer, _ = await answer_to(channel, status, body)
    assert type(answer) is answer_type


async def test_an_inactive_recipient_is_suppressed_and_a_lost_request_is_never_repeated(channel):
    answer, _ = await answer_to(channel, 422, {"ErrorCode": 406, "Message": "inactive"})
    assert answer.is_opt_out
    assert channel.look_up_repeats is False
    nameless = channel.prepare(Recipient(email="asha@example.com"), {"template_id": "none"}, reference=REFERENCE)
    assert isinstance(nameless, Skip)
