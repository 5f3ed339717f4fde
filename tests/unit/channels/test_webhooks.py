"""What each documented webhook tells, by its body alone."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_pipeline.channels.answers import AccountTrouble, OptOut, ProviderOutcome, TemplateTrouble
from engage_pipeline.channels.bolna import BolnaWebhooks
from engage_pipeline.channels.registry import PROVIDERS
from engage_pipeline.channels.resend import ResendWebhooks
from engage_pipeline.channels.sendgrid import SendGridWebhooks
from engage_pipeline.channels.webhooks import UnreadableWebhook
from engage_pipeline.channels.whatsapp import WhatsAppWebhooks, is_stop_word

LOG = UUID("3f2b8a52-6a0f-4f53-9f0e-2f6f0b3f4d11")
SAMPLES = Path("contracts/vectors/whatsapp_webhooks")


def told(webhooks, body, headers=None):
    """Everything that one raw body tells."""
    events = webhooks.split(json.dumps(body).encode(), headers or {})
    return [each for event in events for each in webhooks.read(json.loads(event.body))]


def call(status, **fields):
    return {
        "id": "e-1",
        "status": status,
        "created_at": "2026-11-24T10:00:00.000000",
        "context_details": {"recipient_data": {"action_log_id": str(LOG)}},
        **fields,
    }


@pytest.mark.parametrize(
    ("status", "fields", "outcome"),
    [
        ("scheduled", {}, "accepted"),
        ("queued", {}, "accepted"),
        ("rescheduled", {}, "accepted"),
        ("initiated", {}, "accepted"),
        ("ringing", {}, "accepted"),
        ("in-progress", {}, "accepted"),
        ("call-disconnected", {"conversation_duration": 0}, "accepted"),
        ("completed", {"conversation_duration": 31.5}, "answered"),
        ("completed", {"conversation_duration": 0}, "no_answer"),
        ("completed", {"conversation_duration": None}, "no_answer"),
        ("completed", {"conversation_duration": 12, "answered_by_voice_mail": True}, "voicemail"),
        ("busy", {}, "busy"),
        ("no-answer", {}, "no_answer"),
        ("canceled", {}, "failed"),
        ("failed", {}, "failed"),
        ("stopped", {}, "failed"),
        ("error", {}, "failed"),
        ("balance-low", {}, "failed"),
    ],
)
def test_every_status_of_a_call_has_its_outcome(status, fields, outcome):
    first, *rest = told(BolnaWebhooks(), call(status, **fields))
    assert (first.outcome, first.provider_message_id, first.action_log_id) == (outcome, "e-1", LOG)
    assert first.occurred_at == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert [type(each) for each in rest] == ([AccountTrouble] if status == "balance-low" else [])


def test_what_is_kept_of_a_call():
    (outcome,) = told(
        BolnaWebhooks(),
        call(
            "completed",
            conversation_duration=42.0,
            total_cost=7.25,
            transcript="assistant: Hello\u0000",
            extracted_data={"interested": True},
            telephony_data={"duration": "45", "recording_url": "https://example.com/r", "hangup_reason": "normal"},
        ),
    )
    assert (outcome.call_seconds, outcome.cost_cents) == (42.0, 7.25)
    assert outcome.detail["transcript"] == "assistant: Hello "
    assert outcome.detail["recording_url"] == "https://example.com/r"
    assert outcome.detail["extracted_data"] == {"interested": True}


def test_a_call_in_progress_costs_nothing_yet():
    (outcome,) = told(BolnaWebhooks(), call("in-progress", total_cost=1, conversation_duration=3))
    assert (outcome.cost_cents, outcome.call_seconds) == (None, None)


@pytest.mark.parametrize(
    ("name", "outcome"), [("sent", "accepted"), ("delivered", "delivered"), ("read", "read"), ("played", "read")]
)
def test_whatsapps_samples_of_statuses_are_read(shared_folder, name, outcome):
    sample = json.loads((shared_folder / SAMPLES / "message_status.json").read_text())[name]
    (only,) = told(WhatsAppWebhooks(), sample)
    assert (only.outcome, only.provider_message_id) == (outcome, "wamid.xyzxyz")
    assert only.occurred_at.tzinfo is UTC


def test_every_sample_of_a_message_status_tells_one_outcome(shared_folder):
    for name, sample in json.loads((shared_folder / SAMPLES / "message_status.json").read_text()).items():
        outcomes = [each for each in told(WhatsAppWebhooks(), sample) if isinstance(each, ProviderOutcome)]
        assert len(outcomes) == 1, name


def test_no_sample_of_an_inbound_message_or_template_update_is_an_opt_out(shared_folder):
    samples = {
        **json.loads((shared_folder / SAMPLES / "message.json").read_text()),
        **json.loads((shared_folder / SAMPLES / "template_status_update.json").read_text()),
    }
    for name, sample in samples.items():
        assert told(WhatsAppWebhooks(), sample) == [], name


def test_metas_samples_of_preferences_lift_nothing_and_stop_when_they_say_so(shared_folder):
    text = (shared_folder / SAMPLES / "user_marketing_preferences.json").read_text()
    samples = json.loads(text)
    assert [told(WhatsAppWebhooks(), sample) for sample in samples.values()] == [[]] * len(samples)
    stopping = json.loads(text.replace('"value": "resume"', '"value": "stop"'))["resume"]
    no = OptOut("whatsapp_message", "+16505551234", "whatsapp_user_preferences")
    assert told(WhatsAppWebhooks(), stopping) == [no]


def status(name, **fields):
    value = {"statuses": [{"id": "wamid.A", "status": name, "timestamp": "1698266945", **fields}]}
    return {"object": "whatsapp_business_account", "entry": [{"changes": [{"value": value, "field": "messages"}]}]}


@pytest.mark.parametrize(
    ("code", "outcome", "troubles"),
    [
        (131026, "failed", []),
        (131049, "failed", []),
        (131050, "opted_out", []),
        (131042, "failed", [AccountTrouble]),
        (132015, "failed", [TemplateTrouble]),
    ],
)
def test_a_failed_message_is_told_apart_by_its_code(code, outcome, troubles):
    first, *rest = told(
        WhatsAppWebhooks(), status("failed", errors=[{"code": code}], biz_opaque_callback_data=str(LOG))
    )
    assert (first.outcome, first.action_log_id, first.detail["codes"]) == (outcome, LOG, [code])
    assert first.is_opt_out is (code == 131050)
    assert [type(each) for each in rest] == troubles


def inbound(**message):
    value = {"messages": [{"from": "15550100123", "id": "wamid.I", "timestamp": "1698266945", **message}]}
    return {"object": "whatsapp_business_account", "entry": [{"changes": [{"value": value, "field": "messages"}]}]}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": {"body": "STOP"}},
        {"type": "text", "text": {"body": " Unsubscribe! "}},
        {"type": "text", "text": {"body": "opt-out"}},
        {"type": "button", "button": {"payload": "x", "text": "Unsubscribe"}},
        {"type": "button", "button": {"payload": "STOP", "text": "No more of this"}},
        {"type": "interactive", "interactive": {"button_reply": {"id": "stop", "title": "Enough"}}},
    ],
)
def test_whoever_asks_to_stop_is_stopped(message):
    assert told(WhatsAppWebhooks(), inbound(**message)) == [
        OptOut("whatsapp_message", "+15550100123", "whatsapp_reply")
    ]


@pytest.mark.parametrize("text", ["stop by tomorrow", "do not stop", "yes", "", "🙂", "is this the end of the trial?"])
def test_a_message_that_says_more_is_not_an_opt_out(text):
    assert not is_stop_word(text)
    assert told(WhatsAppWebhooks(), inbound(type="text", text={"body": text})) == []


@pytest.mark.parametrize(("value", "stops"), [("stop", True), ("resume", False), ("signup", False)])
def test_a_preference_stops_but_never_lifts(value, stops):
    wish = {"wa_id": "15550100123", "category": "marketing_messages", "value": value, "timestamp": 1731705721}
    change = {"value": {"user_preferences": [wish]}, "field": "user_preferences"}
    body = {"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}
    expected = [OptOut("whatsapp_message", "+15550100123", "whatsapp_user_preferences")]
    assert told(WhatsAppWebhooks(), body) == (expected if stops else [])


def email(kind, **data):
    return {
        "type": f"email.{kind}",
        "created_at": "2026-11-24T10:00:00.000Z",
        "data": {"email_id": "m-1", "to": ["Asha@Example.com"], "tags": {"action_log_id": str(LOG)}, **data},
    }


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("scheduled", "accepted"),
        ("sent", "accepted"),
        ("delivery_delayed", "accepted"),
        ("delivered", "delivered"),
        ("opened", "opened"),
        ("clicked", "opened"),
        ("bounced", "bounced"),
        ("complained", "complained"),
        ("failed", "failed"),
        ("suppressed", "refused"),
    ],
)
@pytest.mark.parametrize("tags", [{"action_log_id": str(LOG)}, [{"name": "action_log_id", "value": str(LOG)}]])
def test_every_event_of_resend_has_its_outcome(kind, outcome, tags):
    (only,) = told(ResendWebhooks(), email(kind, tags=tags), {"svix-id": "msg_1"})
    assert (only.outcome, only.provider_message_id, only.action_log_id) == (outcome, "m-1", LOG)
    assert only.is_opt_out is (kind == "complained")


@pytest.mark.parametrize(("kind", "stops"), [("Permanent", True), ("Transient", False), ("Undetermined", False)])
def test_only_a_permanent_bounce_stops_the_address(kind, stops):
    (outcome,) = told(ResendWebhooks(), email("bounced", bounce={"type": kind}), {"svix-id": "msg_1"})
    assert (outcome.outcome, outcome.is_opt_out) == ("bounced", stops)


def test_events_about_other_things_tell_nothing():
    for body in ({"type": "contact.created", "data": {}}, {"type": "domain.updated", "data": {}}, email("received")):
        assert told(ResendWebhooks(), body, {"svix-id": "msg_1"}) == []


@pytest.mark.parametrize(
    ("event", "outcome", "stops"),
    [
        ({"event": "processed"}, "accepted", False),
        ({"event": "deferred"}, "accepted", False),
        ({"event": "delivered"}, "delivered", False),
        ({"event": "open"}, "opened", False),
        ({"event": "click"}, "opened", False),
        ({"event": "bounce", "type": "bounce"}, "bounced", True),
        ({"event": "bounce", "type": "blocked"}, "bounced", False),
        ({"event": "dropped", "reason": "Bounced Address"}, "refused", False),
        ({"event": "spamreport"}, "complained", True),
        ({"event": "unsubscribe"}, "opted_out", True),
        ({"event": "group_unsubscribe"}, "opted_out", True),
    ],
)
def test_every_event_of_sendgrid_has_its_outcome(event, outcome, stops):
    body = {
        "sg_event_id": "ev-1",
        "sg_message_id": "LRz.filter-1",
        "timestamp": 1600112492,
        "email": "asha@example.com",
        "action_log_id": str(LOG),
        **event,
    }
    (only,) = told(SendGridWebhooks(), [body])
    assert (only.outcome, only.provider_message_id, only.action_log_id) == (outcome, "LRz", LOG)
    assert only.is_opt_out is stops


def test_the_key_of_an_event_is_the_providers_own():
    bolna = BolnaWebhooks().split(json.dumps(call("busy")).encode(), {})
    resend = ResendWebhooks().split(json.dumps(email("sent")).encode(), {"svix-id": "msg_1"})
    whatsapp = WhatsAppWebhooks().split(json.dumps(status("read")).encode(), {})
    sendgrid = SendGridWebhooks().split(b'[{"sg_event_id": "ev-1"}, {"sg_event_id": "ev-2"}]\r\n', {})
    keys = [event.key for event in (*bolna, *resend, *whatsapp, *sendgrid)]
    assert keys == ["e-1:busy", "msg_1", "wamid.A:read", "ev-1", "ev-2"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "status", "type", "data", "event", "object", "entry", "changes", "value", "statuses", "message"]
            )
            | st.text(max_size=5),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", [name for name, provider in PROVIDERS.items() if provider.webhooks])
@settings(max_examples=60)
@given(body=JSON)
def test_nothing_that_anybody_may_send_does_more_than_be_unreadable(name, body):
    webhooks = PROVIDERS[name].webhooks
    with contextlib.suppress(UnreadableWebhook):
        told(webhooks, body, {"svix-id": "msg_1"})
    with contextlib.suppress(UnreadableWebhook):
        webhooks.read(body)
