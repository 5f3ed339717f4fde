"""What a scenario file or a request can make the sandbox do: storms, rates, hours, an empty wallet, single outcomes."""

import json
import time
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from engage_pipeline.channels.answers import ProviderOutcome
from engage_pipeline.channels.registry import PROVIDERS
from engage_pipeline.channels.sandbox.behaviour import Behaviour, InvalidBehaviour, Storm, load_behaviour
from engage_pipeline.channels.sandbox.course import ENDINGS, course_of
from engage_pipeline.channels.sandbox.keys import new_key
from engage_pipeline.channels.sandbox.record import Entry
from engage_pipeline.channels.sandbox.telling import Subject, happening, webhook_body
from engage_pipeline.settings import PROJECT_ROOT

KEY = {"Authorization": "Bearer nobody"}
CALL = {"agent_id": "a-1", "recipient_phone_number": "+15550100123"}
MAIL = {"from": "a@example.com", "to": "b@example.com", "subject": "Hello", "text": "x"}
MESSAGE = {
    "messaging_product": "whatsapp",
    "to": "15550100123",
    "type": "template",
    "template": {"name": "welcome", "language": {"code": "en_US"}},
}


@pytest.fixture
def client(sandbox):
    with httpx.Client(base_url=sandbox.url, headers=KEY, trust_env=False) as client:
        yield client


def place_call(client, number="+15550100123", **headers):
    return client.post("/bolna/call", json={**CALL, "recipient_phone_number": number}, headers=headers)


def status_of(client, placed):
    return client.get(f"/bolna/executions/{placed.json()['execution_id']}").json()["status"]


def test_the_file_of_the_docs_is_a_scenario(tmp_path):
    text = (PROJECT_ROOT / "docs" / "channels.md").read_text()
    path = tmp_path / "scenario.json"
    path.write_text(text.split("```json")[1].split("```")[0])
    behaviour = load_behaviour(path)
    assert behaviour.storms == (Storm(30, 60, "unavailable"),)
    assert behaviour.answered_by_hour == {9: 0.7, 22: 0.1}
    assert behaviour.requests_per_second == {"resend": 5}


def test_a_storm_comes_and_passes(client, sandbox):
    sandbox.behave(storms=(Storm(0, 1e9, "unavailable"),))
    storm = client.post("/resend/emails", json=MAIL)
    assert (storm.status_code, storm.headers["Retry-After"]) == (503, "7")
    sandbox.behave(storms=(Storm(0, 0, "unavailable"),))
    assert client.post("/resend/emails", json=MAIL).status_code == 200
    assert len(sandbox.effects()) == 1


def test_a_storm_is_timed_from_the_start():
    behaviour = Behaviour(storms=(Storm(30, 60, "fails"),), faults={7: "html"}, fault_of_all="hangs")
    faults = [behaviour.fault(1, age_seconds=age) for age in (29.9, 30, 59.9, 60)]
    assert faults == ["hangs", "fails", "fails", "hangs"]
    assert behaviour.fault(7, age_seconds=40) == "html"


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        ("bolna", "/bolna/call", CALL),
        ("whatsapp", "/whatsapp/v23.0/1/messages", MESSAGE),
        ("resend", "/resend/emails", MAIL),
    ],
)
def test_beyond_its_rate_a_provider_asks_to_wait(client, sandbox, provider, path, body):
    sandbox.behave(requests_per_second={provider: 3})
    began = time.monotonic()
    answers = [client.post(path, json=body) for _ in range(30)]
    allowed = 3 + 3 * (time.monotonic() - began)
    taken = [answer for answer in answers if answer.status_code == 200]
    put_off = [answer for answer in answers if answer.status_code == 429]
    assert 3 <= len(taken) <= allowed + 1
    assert len(taken) + len(put_off) == 30
    assert {answer.headers["Retry-After"] for answer in put_off} == {"2"}
    assert len(sandbox.effects()) == len(taken)


def test_an_empty_wallet_ends_calls_as_balance_low(client, sandbox):
    sandbox.behave(balance_low_after=2, outcome_seconds=0, answered_share=1)
    placed = [place_call(client) for _ in range(4)]
    statuses = [status_of(client, each) for each in placed]
    assert statuses == ["completed", "completed", "balance-low", "balance-low"]


@pytest.mark.parametrize("wanted", sorted(ENDINGS["bolna"]))
def test_a_request_asks_for_the_outcome_of_its_call(client, sandbox, wanted):
    sandbox.behave(outcome_seconds=0)
    assert status_of(client, place_call(client, **{"X-Sandbox-Outcome": wanted})) == wanted


@pytest.mark.parametrize("wanted", sorted(ENDINGS["resend"]))
def test_a_request_asks_for_the_outcome_of_its_email(client, sandbox, wanted):
    sandbox.behave(outcome_seconds=0)
    sent = client.post("/resend/emails", json=MAIL, headers={"X-Sandbox-Outcome": wanted}).json()
    assert client.get(f"/resend/emails/{sent['id']}").json()["last_event"] == wanted


@pytest.mark.parametrize("wanted", ["delivered", "bounced", "complained"])
def test_resends_test_addresses_have_their_outcome(client, sandbox, wanted):
    sandbox.behave(outcome_seconds=0)
    sent = client.post("/resend/emails", json={**MAIL, "to": [f"{wanted}+lead@resend.dev"]}).json()
    assert client.get(f"/resend/emails/{sent['id']}").json()["last_event"] == wanted


@pytest.mark.parametrize(
    ("fault", "status", "effect_count"), [("refuses", 400, 0), ("defers", 429, 0), ("accepts then fails", 500, 1)]
)
def test_a_request_asks_for_its_fault(client, sandbox, fault, status, effect_count):
    assert place_call(client, **{"X-Sandbox-Fault": fault}).status_code == status
    assert len(sandbox.effects()) == effect_count
    assert place_call(client).status_code == 200


def test_a_request_asks_for_its_latency(client, sandbox):
    sandbox.behave(latency_ms=60_000)
    began = time.monotonic()
    assert place_call(client, **{"X-Sandbox-Latency-Ms": "80"}).status_code == 200
    assert 0.08 <= time.monotonic() - began < 5


@pytest.mark.parametrize(
    "wish",
    [
        {"X-Sandbox-Fault": "sulks"},
        {"X-Sandbox-Latency-Ms": "soon"},
        {"X-Sandbox-Latency-Ms": "-1"},
        {"X-Sandbox-Outcome": "read"},
    ],
)
def test_a_request_that_asks_for_nonsense_is_told(client, sandbox, wish):
    assert place_call(client, **wish).status_code == 400
    assert sandbox.effects() == []


@pytest.mark.parametrize(("provider", "wanted"), [(name, each) for name in ENDINGS for each in sorted(ENDINGS[name])])
def test_every_outcome_that_can_be_asked_for_is_told_and_understood(provider, wanted):
    at = datetime(2026, 11, 24, 12, tzinfo=UTC)
    entry = Entry("effect", provider, str(uuid4()), "id-1", "0", at.isoformat(), agent_id="a-1")
    course = course_of(Behaviour(), provider, "0", 1, at=at, forced=wanted)
    assert course.stages[-1].status == wanted
    bodies = [happening(Subject(entry, "15550100123", course, new_key()), stage, at) for stage in course.stages]
    webhooks = PROVIDERS[provider].webhooks
    raw = webhook_body(provider, bodies[-1:])
    (event,) = webhooks.split(raw, {"svix-id": "msg_1"})
    told = [each for each in webhooks.read(json.loads(event.body)) if isinstance(each, ProviderOutcome)]
    assert len(told) == 1


def share_at(hour, provider, behaviour, wanted):
    at = datetime(2026, 11, 24, hour, tzinfo=UTC)
    courses = [course_of(behaviour, provider, str(number), 1, at=at, forced=None) for number in range(1000)]
    return sum(wanted(course) for course in courses) / len(courses)


def test_rates_change_with_the_hour():
    behaviour = Behaviour(answered_share=0.5, answered_by_hour={9: 1.0, 22: 0.0}, delivered_by_hour={3: 0.2})
    answered = [
        share_at(hour, "bolna", behaviour, lambda course: course.conversation_seconds > 0) for hour in (9, 22, 12)
    ]
    assert answered[:2] == [1.0, 0.0]
    assert abs(answered[2] - 0.5) < 0.06
    delivered = share_at(3, "whatsapp", behaviour, lambda course: course.stages[-1].status in ("delivered", "read"))
    assert abs(delivered - 0.2) < 0.05


def test_the_same_seed_tells_the_same_story():
    at = datetime(2026, 11, 24, 12, tzinfo=UTC)
    first, again, other = (
        [course_of(Behaviour(seed=seed), "bolna", str(number), 1, at=at, forced=None) for number in range(50)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "content",
    [
        {"storms": [{"begin": 1, "end": 2, "fault": "sulks"}]},
        {"storms": [{"begin": 1}]},
        {"answered_by_hour": {"9": 7}},
        {"answered_by_hour": {"nine": 0.5}},
        {"outcome_seconds": -1},
    ],
)
def test_a_scenario_that_says_nonsense_is_an_error(tmp_path, content):
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InvalidBehaviour):
        load_behaviour(path)
