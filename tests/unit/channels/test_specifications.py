"""Requests against the providers' own specifications, by their schemas. Skipped where these are not at hand."""

import pytest

from engage_pipeline.channels.bolna import BolnaCalls
from engage_pipeline.channels.http import Endpoint
from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.channels.resend import ResendEmails
from engage_pipeline.channels.sendgrid import SendGridEmails
from engage_pipeline.channels.templates import Template
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks
from engage_pipeline.channels.whatsapp import WhatsAppMessages
from tests.specifications import mistakes, specification

REFERENCE = "3f2b8a52-6a0f-4f53-9f0e-2f6f0b3f4d11"
ASHA = Recipient(phone_e164="+15550100123", email="asha@example.com", first_name="Asha", custom_fields={"Plan": "gold"})
HERE = Endpoint("http://127.0.0.1")
LINKS = UnsubscribeLinks("https://hooks.example.com", b"key")
WELCOME = Template("welcome", "email", {"subject": "Hello {{ first_name }}", "text": "Your {{ custom.Plan }} plan"})
SOCIAL = Template(
    "social",
    "whatsapp_message",
    {
        "name": "social_v2",
        "language": "en_US",
        "header": ["{{ first_name }}"],
        "body": ["{{ custom.Plan }}", "{{ first_name }}"],
        "buttons": [{"sub_type": "url", "index": 2, "parameters": ["{{ custom.Plan }}"]}],
    },
)


@pytest.mark.parametrize("variables", [[], ["first_name", "Plan"]])
def test_a_call_is_one_of_bolnas(shared_folder, variables):
    agent = "7f0c9a52-3d1e-4b8a-9c64-2e5d8f1b7a30"
    config = {"agent_id": agent, "phone_number_id": "+15550100000", "variables": variables}
    body = BolnaCalls(HERE).prepare(ASHA, config, reference=REFERENCE)
    spec = specification(shared_folder, "bolna-openapi.yml")
    schema = "/paths/~1call/post/requestBody/content/application~1json/schema"
    assert mistakes(spec, schema, body) == []
    assert mistakes(spec, schema, {**body, "retry_config": {"enabled": "no"}})


@pytest.mark.parametrize("template_id", ["welcome", "social"])
def test_a_message_is_one_of_metas(shared_folder, template_id):
    channel = WhatsAppMessages(HERE, phone_number_id="1", templates={"social": SOCIAL})
    config = {"template_id": template_id, "variables": ["first_name"]}
    body = channel.prepare(ASHA, config, reference=REFERENCE)["body"]
    spec = specification(shared_folder, "meta-business-messaging-api_v23.0.yaml")
    path = next(path for path in spec["paths"] if path.endswith("/messages")).replace("/", "~1")
    schema = f"/paths/{path}/post/requestBody/content/application~1json/schema"
    assert mistakes(spec, schema, body) == []
    assert mistakes(spec, schema, {**body, "type": "telegram"})


@pytest.mark.parametrize("template_id", ["welcome", "of-resends-own"])
def test_an_email_is_one_of_resends(shared_folder, template_id):
    channel = ResendEmails(HERE, "Acme <hello@example.com>", templates={"welcome": WELCOME}, unsubscribe=LINKS)
    body = channel.prepare(ASHA, {"template_id": template_id, "variables": ["Plan"]}, reference=REFERENCE)
    spec = specification(shared_folder, "resend.yaml")
    assert mistakes(spec, "/components/schemas/SendEmailRequest", body) == []
    assert mistakes(spec, "/components/schemas/SendEmailRequest", {**body, "to": []})


def test_an_email_is_one_of_sendgrids(shared_folder):
    channel = SendGridEmails(HERE, "Acme <hello@example.com>", templates={"welcome": WELCOME}, unsubscribe=LINKS)
    body = channel.prepare(ASHA, {"template_id": "welcome"}, reference=REFERENCE)
    spec = specification(shared_folder, "sendgrid_mail_send.json")
    schema = "/mail_send/post/requestBody/content/application~1json/schema"
    assert mistakes(spec, schema, body) == []
    assert mistakes(spec, schema, {**body, "personalizations": "x"})
