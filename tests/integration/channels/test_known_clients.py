"""Well-known clients of the providers against the sandbox: they understand its answers and its errors."""

import socket

import httpx
import pytest
import resend
from aiosmtpd.controller import Controller
from pywa import WhatsApp
from pywa.errors import MessageUndeliverable
from pywa.types.templates import BodyText, TemplateLanguage

from engage_pipeline.channels.answers import Accepted, Refused, TryLater
from engage_pipeline.channels.http import NotLoopback, open_client
from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.channels.smtp import SmtpEmails, SmtpServer
from engage_pipeline.channels.templates import Template

REFERENCE = "3f2b8a52-6a0f-4f53-9f0e-2f6f0b3f4d11"
MAIL = {"from": "a@example.com", "to": ["b@example.com"], "subject": "Hello", "text": "x"}


@pytest.fixture
def resend_client(sandbox, monkeypatch):
    monkeypatch.setattr(resend, "api_url", f"{sandbox.url}/resend")
    monkeypatch.setattr(resend, "api_key", "re_test")
    return resend


def test_resends_own_client_sends_and_reads_back(sandbox, resend_client):
    sandbox.behave(outcome_seconds=0, bounced_share=0, opened_share=0, complained_share=0)
    sent = resend_client.Emails.send(MAIL, {"idempotency_key": "k-1"})
    assert sandbox.effects() == [(None, sent["id"])]
    assert resend_client.Emails.send(MAIL, {"idempotency_key": "k-1"})["id"] == sent["id"]
    assert resend_client.Emails.get(sent["id"])["last_event"] == "delivered"


def test_resends_own_client_raises_its_own_errors(sandbox, resend_client, monkeypatch):
    resend_client.Emails.send(MAIL, {"idempotency_key": "k-1"})
    with pytest.raises(resend.exceptions.ResendError) as other_body:
        resend_client.Emails.send({**MAIL, "subject": "Other"}, {"idempotency_key": "k-1"})
    assert "payload" in str(other_body.value)
    monkeypatch.setattr(resend, "api_key", "invalid")
    with pytest.raises(resend.exceptions.ResendError):
        resend_client.Emails.send(MAIL)


@pytest.fixture
def whatsapp(sandbox):
    with httpx.Client(trust_env=False) as session:
        client = WhatsApp(phone_id="106540352242922", token="token", session=session)
        session.base_url = f"{sandbox.url}/whatsapp/v23.0"
        yield client


def send_template(client):
    return client.send_template(
        to="15550100123", name="welcome", language=TemplateLanguage.ENGLISH_US, params=[BodyText.params("Asha")]
    )


def test_pywa_sends_a_template(sandbox, whatsapp):
    sent = send_template(whatsapp)
    assert sandbox.effects() == [(None, sent.id)]


def test_pywa_raises_its_own_errors(sandbox, whatsapp):
    sandbox.inject("refuses")
    with pytest.raises(MessageUndeliverable):
        send_template(whatsapp)


def test_the_record_gives_back_what_was_received(sandbox, resend_client):
    resend_client.Emails.send(MAIL)
    received = httpx.get(f"{sandbox.url}/record/requests?provider=resend", trust_env=False).json()["requests"]
    assert received[0]["body"] == MAIL
    assert "re_test" not in str(received)


@pytest.fixture
def smtp_server():
    """A real SMTP server on a free port, and what it received."""

    class Mailbox:
        def __init__(self):
            self.messages, self.answers = [], {}

        async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
            if address in self.answers:
                return self.answers[address]
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server, session, envelope):  # noqa: N802
            self.messages.append(envelope)
            return "250 OK"

    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        mailbox.port = probe.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    yield mailbox
    controller.stop()


TEMPLATE = Template("t", "email", {"subject": "Grüße {{ first_name }}", "text": "Hello {{ first_name }}"})


async def send_by_smtp(port, address="asha@example.com", host="127.0.0.1"):
    channel = SmtpEmails(SmtpServer(host, port), "Acme <hello@example.com>", {"t": TEMPLATE})
    request = channel.prepare(Recipient(email=address, first_name="Asha"), {"template_id": "t"}, reference=REFERENCE)
    async with open_client(connections=1, queue_seconds=1, connect_seconds=1, answer_seconds=1) as client:
        return await channel.send(client, request, reference=REFERENCE)


async def test_an_email_by_smtp_arrives_and_accepted_is_final(smtp_server):
    assert await send_by_smtp(smtp_server.port) == Accepted(REFERENCE, is_final=True)
    (envelope,) = smtp_server.messages
    assert envelope.rcpt_tos == ["asha@example.com"]
    assert b"text/plain" in envelope.content and b"text/html" in envelope.content
    assert f"<{REFERENCE}@example.com>".encode() in envelope.content


@pytest.mark.parametrize(
    ("reply", "answer_type", "is_opt_out"),
    [
        ("550 5.1.1 no such user", Refused, True),
        ("554 5.7.1 not wanted here", Refused, False),
        ("451 4.3.0 try again", TryLater, False),
    ],
)
async def test_an_smtp_servers_refusal_is_for_now_or_for_good(smtp_server, reply, answer_type, is_opt_out):
    smtp_server.answers["asha@example.com"] = reply
    answer = await send_by_smtp(smtp_server.port)
    assert type(answer) is answer_type
    assert getattr(answer, "is_opt_out", False) is is_opt_out
    assert smtp_server.messages == []


async def test_without_an_smtp_server_nothing_was_sent(smtp_server):
    with pytest.raises(NotLoopback):
        await send_by_smtp(25, host="192.0.2.1")
    assert isinstance(await send_by_smtp(1), TryLater)
