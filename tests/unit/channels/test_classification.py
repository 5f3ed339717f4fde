"""What each provider's response means, by the response alone: no server, no socket."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from engage_pipeline.channels.answers import Accepted, Refused, TryLater, Unknown
from engage_pipeline.channels.bolna import BolnaCalls
from engage_pipeline.channels.http import Endpoint
from engage_pipeline.channels.resend import ResendEmails
from engage_pipeline.channels.responses import retry_after_seconds
from engage_pipeline.channels.sendgrid import SendGridEmails
from engage_pipeline.channels.whatsapp import WhatsAppMessages
from engage_pipeline.channels.whatsapp_errors import kind_of, meaning

REFERENCE = "3f2b8a52-6a0f-4f53-9f0e-2f6f0b3f4d11"
BOLNA = BolnaCalls(Endpoint("http://127.0.0.1/bolna"))
WHATSAPP = WhatsAppMessages(Endpoint("http://127.0.0.1/whatsapp"))
RESEND = ResendEmails(Endpoint("http://127.0.0.1/resend"), sender="engage@example.com")
SENDGRID = SendGridEmails(Endpoint("http://127.0.0.1/sendgrid"), sender="engage@example.com")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


async def answer_to(channel, status, body, headers=None):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    respond = httpx.MockTransport(lambda request: httpx.Response(status, content=content, headers=headers))
    request = {"phone_number_id": "1", "body": {}} if channel is WHATSAPP else {}
    async with httpx.AsyncClient(transport=respond) as client:
        return await channel.send(client, request, reference=REFERENCE)


def meta_error(code, message="(#1) words", details="more words"):
    return {"error": {"message": message, "code": code, "error_data": {"details": details}, "fbtrace_id": "x"}}


@pytest.mark.parametrize(
    ("channel", "body", "provider_message_id"),
    [
        (BOLNA, {"message": "done", "status": "queued", "execution_id": "e-1"}, "e-1"),
        (WHATSAPP, {"messages": [{"id": "wamid.A", "message_status": "accepted"}]}, "wamid.A"),
        (RESEND, {"id": "m-1"}, "m-1"),
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202])
async def test_a_2xx_with_an_id_is_accepted(channel, body, provider_message_id, status):
    assert await answer_to(channel, status, body) == Accepted(provider_message_id)


@pytest.mark.parametrize("channel", [BOLNA, WHATSAPP, RESEND])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>It works!</html>",
        b"",
        b'{"id": ',
        b"\xff\xfe",
        b"[" * 20_000,
        [],
        "id",
        {"id": None, "execution_id": "", "messages": []},
        {"id": 7, "execution_id": 7, "messages": [{"id": 7}]},
        {"messages": ["wamid.A"]},
        {"id": "a\0", "execution_id": "a\ud800", "messages": [{"id": "a" * 513}]},
        {"error": {"code": 131000}, "message": "went wrong"},
    ],
)
async def test_a_2xx_without_a_usable_id_is_unknown(channel, body):
    assert isinstance(await answer_to(channel, 200, body), Unknown)


@pytest.mark.parametrize("channel", [BOLNA, WHATSAPP, RESEND])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_and_unknown(channel, status):
    answer = await answer_to(channel, status, b"", {"Location": "http://127.0.0.1/elsewhere"})
    assert isinstance(answer, Unknown)


@pytest.mark.parametrize("channel", [BOLNA, WHATSAPP, RESEND])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_request_to_wait_is_try_later_with_its_seconds(channel, status):
    answer = await answer_to(channel, status, {"message": "slow down"}, {"Retry-After": "17"})
    assert isinstance(answer, TryLater)
    assert answer.retry_after_seconds == 17.0


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_5xx_may_have_acted(status):
    assert isinstance(await answer_to(BOLNA, status, {"detail": "Internal server error"}), Unknown)
    assert isinstance(await answer_to(WHATSAPP, status, meta_error(131026)), Unknown)
    assert isinstance(await answer_to(RESEND, status, {"name": "application_error", "message": "x"}), Unknown)


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"error": 400, "message": "no such agent"}, Refused("400", "no such agent")),
        ({"message": "no such agent"}, Refused("422", "no such agent")),
        ({"detail": "Unrecognized access token"}, Refused("422", "Unrecognized access token")),
        ({"detail": [{"msg": "not E.164"}]}, Refused("422", '[{"msg": "not E.164"}]')),
        ({"error": "no such agent"}, Refused("422", "no such agent")),
        (b"", Refused("422", "HTTP 422")),
        (b"<html>", Refused("422", "HTTP 422")),
    ],
)
async def test_every_shape_of_bolnas_errors_is_read(body, refused):
    assert await answer_to(BOLNA, 422, body) == refused


async def test_whatsapps_error_code_and_details_make_the_refusal():
    answer = await answer_to(WHATSAPP, 400, meta_error(131026, "(#131026) Message undeliverable", "No WhatsApp"))
    assert answer == Refused("131026", "(#131026) Message undeliverable: No WhatsApp")
    assert await answer_to(WHATSAPP, 400, {"error": {"code": [1], "message": 5}}) == Refused("400", "HTTP 400")


@pytest.mark.parametrize("status", [400, 403, 429, 500])
@pytest.mark.parametrize(
    ("code", "seconds"),
    [(4, None), (80007, None), (130429, None), (131048, 3_600.0), (131049, 86_400.0), (131056, 6.0), (131057, 900.0)],
)
async def test_whatsapps_limits_are_try_later_whatever_the_status(status, code, seconds):
    answer = await answer_to(WHATSAPP, status, meta_error(code))
    assert isinstance(answer, TryLater)
    assert answer.retry_after_seconds == seconds


@pytest.mark.parametrize("code", [1, 2, 131000, 131016, 135000])
async def test_whatsapps_something_went_wrong_is_unknown_even_as_a_4xx(code):
    assert isinstance(await answer_to(WHATSAPP, 400, meta_error(code)), Unknown)


KIND_OF_ACTION = {
    "backoff": ("back_off", "retry_later"),
    "backoff_4^n": ("back_off",),
    "long_backoff": ("retry_later",),
    "wait_24h": ("retry_later",),
    "retry": ("nobody_knows",),
    "retry_limited": ("nobody_knows",),
    "stop": ("misconfigured",),
    "stop_flow": ("misconfigured_template",),
    # 132000 too is permanent, for every message with that template.
    "permanent": ("give_up", "misconfigured_template"),
    "permanent_recipient": ("give_up",),
    "use_template": ("give_up",),
    "suppress_contact": ("suppress",),
}
CODES = json.loads((Path(__file__).parents[2] / "data/provider_vectors/whatsapp_error_codes.json").read_text())["codes"]


@pytest.mark.parametrize("row", CODES, ids=lambda row: str(row["code"]))
async def test_every_documented_whatsapp_code_is_sorted_and_answered_accordingly(row):
    codes = [row["code"]] if isinstance(row["code"], int) else [200, 250, 299]
    for code in codes:
        kind = kind_of(code)
        assert kind in KIND_OF_ACTION[row["action"]]
        assert len(meaning(code)) > 10
        answer = await answer_to(WHATSAPP, 400, meta_error(code))
        assert type(answer) is {"give_up": Refused, "suppress": Refused, "nobody_knows": Unknown}.get(kind, TryLater)
        assert (isinstance(answer, Refused) and answer.is_opt_out) or kind != "suppress"
        assert (isinstance(answer, TryLater) and answer.pauses_account is not None) or kind != "misconfigured"
        assert getattr(answer, "pauses_account", None) is None or kind == "misconfigured"
        stops_template = getattr(answer, "stops_template", None)
        assert (stops_template is not None) is (kind == "misconfigured_template")


def test_the_codes_that_are_about_one_template():
    about_one = [
        row["code"]
        for row in CODES
        if isinstance(row["code"], int) and kind_of(row["code"]) == "misconfigured_template"
    ]
    assert about_one == [132000, 132001, 132007, 132015, 132016, 132068]


def test_there_are_as_many_documented_codes_as_metas_pages_list():
    assert len(CODES) == 53


@pytest.mark.parametrize(
    ("channel", "status", "body"),
    [
        (BOLNA, 401, {"message": "Access denied"}),
        (BOLNA, 403, {"detail": "Unrecognized access token"}),
        (BOLNA, 402, {"message": "insufficient balance"}),
        (BOLNA, 404, {"message": "Agent not found"}),
        (WHATSAPP, 401, b""),
        (RESEND, 401, {"name": "missing_api_key", "message": "x"}),
        (RESEND, 401, {"name": "restricted_api_key", "message": "x"}),
        (RESEND, 403, {"name": "invalid_api_key", "message": "x"}),
        (RESEND, 403, {"name": "validation_error", "message": "The domain is not verified."}),
        (RESEND, 422, {"name": "invalid_from_address", "message": "x"}),
        (RESEND, 429, {"name": "monthly_quota_exceeded", "message": "x"}),
        (SENDGRID, 401, {"errors": [{"message": "The provided authorization grant is invalid"}]}),
        (SENDGRID, 403, {"errors": [{"message": "The from address does not match a verified Sender Identity"}]}),
    ],
)
async def test_what_only_a_person_can_mend_pauses_the_account_and_sends_nothing(channel, status, body):
    answer = await answer_to(channel, status, body)
    assert isinstance(answer, TryLater)
    assert str(status) in answer.pauses_account or body["name"] in answer.pauses_account


@pytest.mark.parametrize(
    ("status", "name", "seconds"),
    [(429, "rate_limit_exceeded", None), (429, "daily_quota_exceeded", 3_600.0)],
)
async def test_resends_limits_are_waited_for(status, name, seconds):
    assert await answer_to(RESEND, status, {"name": name, "message": "x"}) == TryLater("x", seconds, is_throttled=True)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "validation_error"),
        (400, "invalid_idempotency_key"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (422, "missing_required_field"),
        (422, "invalid_attachment"),
        (451, "security_error"),
    ],
)
async def test_resends_other_errors_are_refusals(status, name):
    assert await answer_to(RESEND, status, {"name": name, "message": "x"}) == Refused(name, "x")


async def test_sendgrids_acceptance_has_no_body_and_its_id_in_a_header():
    assert await answer_to(SENDGRID, 202, b"", {"X-Message-Id": "sg-1"}) == Accepted("sg-1")
    assert await answer_to(SENDGRID, 202, b"") == Accepted(REFERENCE)


@pytest.mark.parametrize(
    ("status", "answer_type"), [(400, Refused), (404, Refused), (413, Refused), (429, TryLater), (500, Unknown)]
)
async def test_sendgrids_errors(status, answer_type):
    answer = await answer_to(SENDGRID, status, {"errors": [{"message": "a"}, {"message": "b"}]})
    assert type(answer) is answer_type
    assert "a; b" in answer.reason


async def test_sendgrids_limit_says_when_it_is_lifted():
    reset = str(int(datetime.now(UTC).timestamp()) + 40)
    answer = await answer_to(SENDGRID, 429, b"", {"X-RateLimit-Reset": reset})
    assert isinstance(answer, TryLater)
    assert 30 < answer.retry_after_seconds <= 40


async def test_resends_error_name_is_the_code():
    body = {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field."}
    assert await answer_to(RESEND, 422, body) == Refused("validation_error", "Invalid `to` field.")
    assert await answer_to(RESEND, 404, b"") == Refused("404", "HTTP 404")


async def test_a_template_that_resend_does_not_have_stops_alone():
    missing = httpx.MockTransport(lambda request: httpx.Response(404, json={"name": "not_found", "message": "x"}))
    async with httpx.AsyncClient(transport=missing) as client:
        answer = await RESEND.send(client, {"template": {"id": "t"}}, reference=REFERENCE)
    assert answer == TryLater("x", stops_template="Resend answers not_found: x")


@pytest.mark.parametrize("name", ["concurrent_idempotent_requests", "invalid_idempotent_request"])
async def test_a_409_of_resend_is_unknown_since_the_key_is_in_use(name):
    assert isinstance(await answer_to(RESEND, 409, {"statusCode": 409, "name": name, "message": "x"}), Unknown)


@pytest.mark.parametrize("channel", [BOLNA, WHATSAPP, RESEND])
@pytest.mark.parametrize("status", [400, 429, 500])
async def test_no_reason_carries_a_phone_number_or_an_email_address(channel, status):
    words = "asha@example.com and +15550100123 and 15550100123 cannot be reached"
    for body in ({"message": words}, {"detail": words}, {"detail": [words]}, {"error": words}, meta_error(7, words)):
        answer = await answer_to(channel, status, body)
        assert "asha@" not in answer.reason
        assert "5550100123" not in answer.reason
        assert len(answer.reason) < 400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("1.5", 1.5),
        (" 3 ", 3.0),
        ("-5", 0.0),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90.0),
        ("Mon, 23 Nov 2026 12:01:30 -0000", 90.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("1e300", 604_800.0),
        ("Mon, 23 Nov 2099 12:00:00 GMT", 604_800.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value, seconds):
    assert retry_after_seconds(httpx.Response(429, headers={"Retry-After": value}), now=NOW) == seconds
    assert retry_after_seconds(httpx.Response(429), now=NOW) is None


@pytest.mark.parametrize("channel", [BOLNA, WHATSAPP, RESEND])
async def test_a_reason_can_always_be_stored(channel):
    words = "bad\0 \ud800 end"
    for body in ({"message": words, "name": words}, meta_error(7, words)):
        answer = await answer_to(channel, 400, body)
        assert (answer.reason + answer.code).isprintable()


async def test_resend_is_not_asked_again_when_it_no_longer_knows_the_key():
    def never(request):
        raise AssertionError("a request was sent")

    async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as client:
        sent_at = datetime.now(UTC) - timedelta(hours=23, minutes=1)
        assert isinstance(await RESEND.look_up(client, {}, reference=REFERENCE, sent_at=sent_at), Unknown)


async def test_whatsapp_cannot_be_asked():
    async with httpx.AsyncClient() as client:
        assert isinstance(await WHATSAPP.look_up(client, {}, reference=REFERENCE, sent_at=NOW), Unknown)


def executions(*pages):
    """A Bolna that lists `pages` and whose every execution carries our reference."""

    def respond(request):
        if "/v2/agent/" not in request.url.path:
            return httpx.Response(200, json={"context_details": {"recipient_data": {"action_log_id": REFERENCE}}})
        page = pages[min(int(request.url.params["page_number"]), len(pages)) - 1]
        return httpx.Response(200, json=page) if isinstance(page, dict) else httpx.Response(page)

    return httpx.AsyncClient(transport=httpx.MockTransport(respond))


OURS = {"id": "e-1", "telephony_data": {"to_number": "15550100123"}}
OTHER = {"id": "e-2", "telephony_data": {"to_number": "+15550100999"}}


@pytest.mark.parametrize(
    ("pages", "answer_type"),
    [
        ([{"data": [OTHER], "has_more": True}, {"data": [OURS], "has_more": False}], Accepted),
        ([{"data": [OTHER], "has_more": False}], Unknown),
        ([{"data": [OTHER], "has_more": True}], Unknown),
        ([{"data": [OTHER], "has_more": True}, 429], TryLater),
        ([{"data": ["x", {}, {"telephony_data": None}, {**OURS, "id": None}], "has_more": False}], Unknown),
        ([{"data": None}], TryLater),
        ([{"error": 400, "message": "x"}], TryLater),
    ],
)
async def test_a_call_is_found_only_where_the_list_shows_it(pages, answer_type):
    request = {"agent_id": "a-1", "recipient_phone_number": "+15550100123"}
    async with executions(*pages) as client:
        answer = await BOLNA.look_up(client, request, reference=REFERENCE, sent_at=NOW)
    assert type(answer) is answer_type
