"""Signatures of webhooks, on the providers' own vectors. The vectors and their sources are in tests/data."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from engage_pipeline.channels.sandbox.keys import new_key, read_key, svix_secret
from engage_pipeline.channels.sandbox.telling import signed_headers
from engage_pipeline.channels.signatures import (
    is_signed_by_meta,
    is_signed_by_sendgrid,
    is_signed_by_svix,
    svix_signature,
)

VECTORS = json.loads((Path(__file__).parents[2] / "data/provider_vectors/signature_vectors.json").read_text())


def by_meta(raw: bytes, *, secret: str | None = None, signature: str | None = None) -> bool:
    vector = VECTORS["meta_x_hub_signature_256"]
    return is_signed_by_meta(secret or vector["app_secret"], raw, vector["header"] if signature is None else signature)


def by_svix(raw: bytes, *, late: float = 0, **changes: str) -> bool:
    vector = VECTORS["svix_standard_webhooks"]
    given = {
        "message_id": vector["msg_id"],
        "timestamp": str(vector["timestamp"]),
        "signatures": vector["signature_header"],
        **changes,
    }
    now = datetime.fromtimestamp(vector["timestamp"], UTC) + timedelta(seconds=late)
    return is_signed_by_svix(vector["secret"], raw, now=now, **given)


def by_sendgrid(raw: bytes, *, late: float = 0, **changes: str) -> bool:
    vector = VECTORS["sendgrid_event_webhook_ecdsa"]
    timestamp = vector["headers"]["X-Twilio-Email-Event-Webhook-Timestamp"]
    given = {
        "timestamp": timestamp,
        "signature": vector["headers"]["X-Twilio-Email-Event-Webhook-Signature"],
        **changes,
    }
    now = datetime.fromtimestamp(int(timestamp), UTC) + timedelta(seconds=late)
    return is_signed_by_sendgrid(vector["public_key_b64_der"], raw, now=now, **given)


CHECKS = {
    "meta": (by_meta, VECTORS["meta_x_hub_signature_256"]["payload"].encode()),
    "svix": (by_svix, VECTORS["svix_standard_webhooks"]["payload"].encode()),
    "sendgrid": (by_sendgrid, VECTORS["sendgrid_event_webhook_ecdsa"]["payload"].encode()),
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_providers_own_vector_is_believed(name):
    is_signed, raw = CHECKS[name]
    assert is_signed(raw)


@pytest.mark.parametrize("name", CHECKS)
def test_a_body_changed_by_one_byte_is_not(name):
    is_signed, raw = CHECKS[name]
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        assert not is_signed(bytes(changed))
    assert not is_signed(raw[:-1])
    assert not is_signed(raw + b"\n")


@pytest.mark.parametrize("name", ["svix", "sendgrid"])
@pytest.mark.parametrize(("late", "believed"), [(299, True), (-299, True), (301, False), (-301, False)])
def test_a_signature_is_good_for_five_minutes(name, late, believed):
    is_signed, raw = CHECKS[name]
    assert is_signed(raw, late=late) is believed


@pytest.mark.parametrize("timestamp", ["", "soon", "1e9", "-1", "99999999999999999999", "١٦١٤٢٦٥٣٣٠"])
def test_a_time_that_is_none_is_not_believed(timestamp):
    assert not by_svix(CHECKS["svix"][1], timestamp=timestamp)
    assert not by_sendgrid(CHECKS["sendgrid"][1], timestamp=timestamp)


@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=30)
@given(garbage=st.text(max_size=80))
def test_any_other_signature_is_refused_and_never_raises(name, garbage):
    is_signed, raw = CHECKS[name]
    argument = "signatures" if name == "svix" else "signature"
    assert not is_signed(raw, **{argument: garbage})


def test_one_good_signature_among_several_is_enough():
    good = VECTORS["svix_standard_webhooks"]["signature_header"]
    assert by_svix(CHECKS["svix"][1], signatures=f"v1,AAAA v2,{good[3:]} {good}")
    assert not by_svix(CHECKS["svix"][1], signatures=f"v1a,{good[3:]}")
    assert not by_svix(CHECKS["svix"][1], message_id="")


def test_a_broken_secret_refuses_everything():
    assert not is_signed_by_svix(
        "whsec_%%%", b"{}", message_id="m", timestamp="0", signatures="v1,", now=datetime.fromtimestamp(0, UTC)
    )
    assert not is_signed_by_sendgrid("AAAA", b"", timestamp="0", signature="", now=datetime.fromtimestamp(0, UTC))


def test_the_sandbox_signs_as_the_standard_webhooks_library_verifies():
    key = new_key()
    assert read_key(f"Bearer {key.api_key}") == key
    now = datetime.now(UTC)
    headers = signed_headers("resend", key, b'{"type":"email.sent"}', message_id="msg_1", now=now)
    headers = {name.replace("svix-", "webhook-"): value for name, value in headers.items()}
    assert Webhook(svix_secret(key.secret)).verify(b'{"type":"email.sent"}', headers) == {"type": "email.sent"}
    signed = Webhook(svix_secret(key.secret)).sign("msg_1", now, '{"type":"email.sent"}')
    timestamp = str(int(now.timestamp()))
    assert signed == svix_signature(
        svix_secret(key.secret), b'{"type":"email.sent"}', message_id="msg_1", timestamp=timestamp
    )


@pytest.mark.parametrize("authorization", [None, "", "Bearer re_123", "Bearer sandbox_a", "Bearer sandbox_a/b_c"])
def test_a_key_of_somebody_else_says_nothing_about_webhooks(authorization):
    assert read_key(authorization) is None
