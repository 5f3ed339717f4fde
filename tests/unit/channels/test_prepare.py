"""The bodies that the channels hand to the providers."""

import json
import re

import pytest

from engage_pipeline.channels.bolna import BolnaCalls
from engage_pipeline.channels.http import Endpoint
from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.channels.resend import ResendEmails
from engage_pipeline.channels.variables import InvalidVariables, variable_values
from engage_pipeline.channels.whatsapp import WhatsAppMessages

REFERENCE = "3f2b8a52-6a0f-4f53-9f0e-2f6f0b3f4d11"
ASHA = Recipient(
    phone_e164="+15550100123",
    email="asha@example.com",
    first_name="Asha",
    custom_fields={"plan": "gold", "seats": 3, "first_name": "not this one"},
)


def test_a_call_carries_our_reference_and_leaves_retries_to_the_ledger():
    config = {"agent_id": "a-1", "phone_number_id": "+15550100000", "variables": ["first_name", "seats", "company"]}
    assert BolnaCalls(Endpoint("http://127.0.0.1")).prepare(ASHA, config, reference=REFERENCE) == {
        "agent_id": "a-1",
        "recipient_phone_number": "+15550100123",
        "from_phone_number": "+15550100000",
        "user_data": {"first_name": "Asha", "seats": "3", "company": "", "action_log_id": REFERENCE},
        "retry_config": {"enabled": False},
    }


def test_ids_that_yaml_read_as_numbers_are_sent_as_text():
    config = {"agent_id": 7, "phone_number_id": 15550100000, "template_id": 42}
    call = BolnaCalls(Endpoint("http://127.0.0.1")).prepare(ASHA, config, reference=REFERENCE)
    assert (call["agent_id"], call["from_phone_number"]) == ("7", "15550100000")
    message = WhatsAppMessages(Endpoint("http://127.0.0.1")).prepare(ASHA, config, reference=REFERENCE)
    assert (message["phone_number_id"], message["body"]["template"]["name"]) == ("15550100000", "42")


def test_a_variable_cannot_take_the_place_of_our_reference():
    config = {"agent_id": "a-1", "phone_number_id": "+15550100000", "variables": ["action_log_id"]}
    recipient = Recipient(phone_e164="+15550100123", custom_fields={"action_log_id": "forged"})
    request = BolnaCalls(Endpoint("http://127.0.0.1")).prepare(recipient, config, reference=REFERENCE)
    assert request["user_data"] == {"action_log_id": REFERENCE}


def test_a_whatsapp_message_is_a_template_to_a_number_without_plus():
    config = {"template_id": "welcome", "variables": ["first_name", "plan"]}
    assert WhatsAppMessages(Endpoint("http://127.0.0.1")).prepare(ASHA, config, reference=REFERENCE) == {
        "phone_number_id": "sandbox",
        "body": {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "15550100123",
            "type": "template",
            "biz_opaque_callback_data": REFERENCE,
            "template": {
                "name": "welcome",
                "language": {"code": "en_US", "policy": "deterministic"},
                "components": [
                    {"type": "body", "parameters": [{"type": "text", "text": "Asha"}, {"type": "text", "text": "gold"}]}
                ],
            },
        },
    }


def test_a_whatsapp_template_without_variables_has_no_components():
    config = {"template_id": "welcome", "language": "hi", "phone_number_id": "106540352242922"}
    request = WhatsAppMessages(Endpoint("http://127.0.0.1")).prepare(ASHA, config, reference=REFERENCE)
    assert request["phone_number_id"] == "106540352242922"
    assert request["body"]["template"] == {"name": "welcome", "language": {"code": "hi", "policy": "deterministic"}}


def test_an_email_is_a_template_with_variables_and_a_tag():
    config = {"template_id": "t-1", "subject": "Hello", "variables": ["plan"]}
    channel = ResendEmails(Endpoint("http://127.0.0.1"), sender="Engage <engage@example.com>")
    assert channel.prepare(ASHA, config, reference=REFERENCE) == {
        "from": "Engage <engage@example.com>",
        "to": ["asha@example.com"],
        "subject": "Hello",
        "tags": [{"name": "action_log_id", "value": REFERENCE}],
        "template": {"id": "t-1", "variables": {"plan": "gold"}},
    }


def test_an_email_with_its_own_text_has_no_template():
    channel = ResendEmails(Endpoint("http://127.0.0.1"), sender="Engage <engage@example.com>")
    request = channel.prepare(ASHA, {"template_id": "t-1", "text": "Hello"}, reference=REFERENCE)
    assert request["text"] == "Hello"
    assert "template" not in request


def test_every_body_survives_json_and_the_tag_keeps_to_resends_letters():
    channel = ResendEmails(Endpoint("http://127.0.0.1"), sender="Engage <engage@example.com>")
    request = channel.prepare(ASHA, {"template_id": "t-1"}, reference=REFERENCE)
    assert json.loads(json.dumps(request)) == request
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,256}", request["tags"][0]["value"])


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        (BolnaCalls(Endpoint("http://127.0.0.1")), "+15550100123"),
        (WhatsAppMessages(Endpoint("http://127.0.0.1")), "+15550100123"),
        (ResendEmails(Endpoint("http://127.0.0.1"), sender="engage@example.com"), "asha@example.com"),
    ],
)
def test_a_contact_without_the_address_has_none(channel, address):
    assert channel.address(ASHA) == address
    assert channel.address(Recipient()) is None


@pytest.mark.parametrize("variables", ["first_name", {"first_name": 1}, [1], None])
def test_variables_that_are_no_list_of_names_are_an_error_with_a_fix(variables):
    with pytest.raises(InvalidVariables) as caught:
        variable_values(ASHA, {"variables": variables})
    assert caught.value.code == "invalid-variables"
    assert "variables: [first_name" in caught.value.fix
