"""The channels against the sandbox providers over real HTTP: answers, faults, look-ups, replays."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from engage_pipeline.channels.answers import Accepted, Refused, TryLater, Unknown
from engage_pipeline.channels.http import open_client
from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.channels.registry import sandbox_channels

ACTION_TYPES = ["ai_call", "whatsapp_message", "email"]
CONFIG = {"agent_id": "a-1", "phone_number_id": "+15550100000", "template_id": "t-1", "variables": ["first_name"]}
KEY = {"Authorization": "Bearer nobody"}
RECIPIENT = Recipient(phone_e164="+15550100123", email="asha@example.com", first_name="Asha")


@pytest.fixture
async def http():
    async with open_client(connections=50, queue_seconds=5, connect_seconds=1, answer_seconds=0.5) as client:
        yield client


@pytest.fixture
async def plain():
    """A client for what no channel would send."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


class Sender:
    """Prepares and sends one action, and can look it up."""

    def __init__(self, sandbox, http, action_type, recipient=RECIPIENT):
        self.channel = sandbox_channels(sandbox.url)[action_type]
        self.http, self.reference = http, str(uuid4())
        self.sent_at = datetime.now(UTC)
        self.request = self.channel.prepare(recipient, CONFIG, reference=self.reference)

    async def send(self):
        return await self.channel.send(self.http, self.request, reference=self.reference)

    async def look_up(self, *, sent_at=None):
        return await self.channel.look_up(
            self.http, self.request, reference=self.reference, sent_at=sent_at or self.sent_at
        )


async def restart(sandbox):
    # In a thread, so that the client sees its connections close; a request on one of them would be Unknown.
    await asyncio.to_thread(sandbox.stop)
    await asyncio.to_thread(sandbox.start)


@pytest.mark.parametrize("action_type", ACTION_TYPES)
async def test_an_accepted_message_is_in_the_record_under_our_reference(sandbox, http, action_type):
    sender = Sender(sandbox, http, action_type)
    answer = await sender.send()
    assert isinstance(answer, Accepted)
    assert sandbox.effects() == [(sender.reference, answer.provider_message_id)]


@pytest.mark.parametrize("action_type", ACTION_TYPES)
@pytest.mark.parametrize(
    ("fault", "answer_type", "effect_count"),
    [
        ("refuses", Refused, 0),
        ("defers", TryLater, 0),
        ("unavailable", TryLater, 0),
        ("hangs", Unknown, 0),
        ("drops the line", Unknown, 0),
        ("html", Unknown, 0),
        ("200 with error body", Unknown, 0),
        ("accepts then hangs", Unknown, 1),
        ("accepts then drops the line", Unknown, 1),
    ],
)
async def test_each_fault_has_its_answer(sandbox, http, action_type, fault, answer_type, effect_count):
    sandbox.inject(fault)
    assert isinstance(await Sender(sandbox, http, action_type).send(), answer_type)
    assert len(sandbox.effects()) == effect_count


@pytest.mark.parametrize("action_type", ACTION_TYPES)
@pytest.mark.parametrize("fault", ["fails", "accepts then fails"])
async def test_what_a_broken_provider_did_is_unknown(sandbox, http, action_type, fault):
    sandbox.inject(fault)
    assert isinstance(await Sender(sandbox, http, action_type).send(), Unknown)


@pytest.mark.parametrize("action_type", ACTION_TYPES)
async def test_a_deferral_says_when_and_the_second_try_is_taken(sandbox, http, action_type):
    sandbox.behave(deferred_share=1.0)
    sender = Sender(sandbox, http, action_type)
    first = await sender.send()
    assert isinstance(first, TryLater)
    assert first.retry_after_seconds == 2.0
    assert isinstance(await sender.send(), Accepted)
    assert sandbox.read().deferred_count == 1


@pytest.mark.parametrize("action_type", ACTION_TYPES)
async def test_a_refused_address_is_always_refused_and_its_reason_does_not_name_it(sandbox, http, action_type):
    sandbox.behave(refused_share=1.0)
    for _ in range(2):
        answer = await Sender(sandbox, http, action_type).send()
        assert isinstance(answer, Refused)
        assert "555" not in answer.reason
        assert "@" not in answer.reason
    assert sandbox.read().refused_count == 2
    assert sandbox.effects() == []


async def test_a_fault_can_be_given_to_one_request_only(sandbox, http):
    sandbox.inject("refuses", at_request=2)
    answers = [await Sender(sandbox, http, "ai_call").send() for _ in range(3)]
    assert [type(answer) for answer in answers] == [Accepted, Refused, Accepted]


async def look_up_until_known(sender):
    """Until the provider sees that the first caller has left, its key is in progress and nobody can tell yet."""
    for _ in range(100):
        answer = await sender.look_up()
        if isinstance(answer, Accepted):
            break
        await asyncio.sleep(0.05)
    return answer


@pytest.mark.parametrize("action_type", ["ai_call", "email"])
@pytest.mark.parametrize("fault", ["accepts then hangs", "accepts then drops the line"])
async def test_a_lost_answer_is_found_without_a_second_effect(sandbox, http, action_type, fault):
    sandbox.inject(fault)
    sender = Sender(sandbox, http, action_type)
    assert isinstance(await sender.send(), Unknown)
    sandbox.inject(None)
    [(reference, provider_message_id)] = sandbox.effects()
    assert reference == sender.reference
    assert await look_up_until_known(sender) == Accepted(provider_message_id)
    assert len(sandbox.effects()) == 1


async def test_a_call_that_never_arrived_stays_unknown(sandbox, http):
    sandbox.inject("drops the line")
    sender = Sender(sandbox, http, "ai_call")
    await sender.send()
    sandbox.inject(None)
    await Sender(sandbox, http, "ai_call").send()  # another action to the same number is not the one
    assert isinstance(await sender.look_up(), Unknown)


async def test_a_call_is_found_among_pages_of_calls_to_the_same_agent(sandbox, http):
    sandbox.inject("accepts then drops the line", at_request=1)
    lost = Sender(sandbox, http, "ai_call")
    assert isinstance(await lost.send(), Unknown)
    others = [
        Sender(sandbox, http, "ai_call", replace(RECIPIENT, phone_e164=f"+1555020{number:04d}"))
        for number in range(120)
    ]
    assert {type(answer) for answer in await asyncio.gather(*(each.send() for each in others))} == {Accepted}
    assert await lost.look_up() == Accepted(sandbox.effects()[0][1])
    assert isinstance(await others[0].look_up(sent_at=lost.sent_at - timedelta(hours=1)), Unknown)


@pytest.mark.parametrize(
    ("action_type", "answer_type"), [("ai_call", TryLater), ("email", TryLater), ("whatsapp_message", Unknown)]
)
async def test_a_look_up_while_the_provider_is_away_is_worth_repeating_where_one_can_be_asked(
    sandbox, http, action_type, answer_type
):
    sender = Sender(sandbox, http, action_type)
    await sender.send()
    sandbox.stop()
    assert isinstance(await sender.look_up(), answer_type)
    sandbox.start()


async def test_an_email_that_never_arrived_goes_out_once_with_the_look_up(sandbox, http):
    sandbox.inject("drops the line")
    sender = Sender(sandbox, http, "email")
    assert isinstance(await sender.send(), Unknown)
    sandbox.inject(None)
    answers = {await sender.look_up() for _ in range(3)}
    assert answers == {Accepted(sandbox.effects()[0][1])}
    assert len(sandbox.effects()) == 1
    assert sandbox.read().replayed_count == 2


async def test_a_replay_is_the_same_though_its_body_went_through_a_database(sandbox, http):
    sender = Sender(sandbox, http, "email")
    first = await sender.send()
    sender.request = dict(reversed(sender.request.items()))
    assert await sender.send() == first
    assert sandbox.read().replayed_count == 1


async def test_the_same_key_with_another_body_is_a_409_and_sends_nothing(sandbox, http, plain):
    sender = Sender(sandbox, http, "email")
    await sender.send()
    sender.request = {**sender.request, "subject": "another"}
    assert isinstance(await sender.send(), Unknown)
    response = await plain.post(
        f"{sandbox.url}/resend/emails", json=sender.request, headers={**KEY, "Idempotency-Key": sender.reference}
    )
    assert response.status_code == 409
    assert response.json()["name"] == "invalid_idempotent_request"
    assert len(sandbox.effects()) == 1


async def test_two_requests_at_once_with_one_key_send_one_email(sandbox, http):
    sandbox.behave(latency_ms=100)
    sender = Sender(sandbox, http, "email")
    answers = await asyncio.gather(sender.send(), sender.send())
    assert sorted(type(answer).__name__ for answer in answers) == ["Accepted", "Unknown"]
    assert len(sandbox.effects()) == 1


async def test_a_request_without_a_key_is_a_new_email_every_time(sandbox, http, plain):
    body = Sender(sandbox, http, "email").request
    for _ in range(2):
        assert (await plain.post(f"{sandbox.url}/resend/emails", json=body, headers=KEY)).status_code == 200
    assert len(sandbox.effects()) == 2


@pytest.mark.parametrize("action_type", ["ai_call", "email"])
async def test_a_restarted_sandbox_remembers_calls_and_keys(sandbox, http, action_type):
    sender = Sender(sandbox, http, action_type)
    first = await sender.send()
    await restart(sandbox)
    assert await sender.look_up() == first
    assert len(sandbox.effects()) == 1


@pytest.mark.parametrize("action_type", ACTION_TYPES)
async def test_a_restarted_sandbox_remembers_whom_it_put_off(sandbox, http, action_type):
    sandbox.behave(deferred_share=1.0)
    sender = Sender(sandbox, http, action_type)
    assert isinstance(await sender.send(), TryLater)
    await restart(sandbox)
    assert isinstance(await sender.send(), Accepted)


@pytest.mark.parametrize("action_type", ACTION_TYPES)
async def test_a_stopped_sandbox_is_try_later(sandbox, http, action_type):
    sandbox.stop()
    assert isinstance(await Sender(sandbox, http, action_type).send(), TryLater)
    sandbox.start()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/bolna/call", b"not json", 400),
        ("/bolna/call", b"{}", 400),
        ("/bolna/call", b'{"agent_id": "a", "recipient_phone_number": "5550100123"}', 422),
        ("/whatsapp/v23.0/1/messages", b"[]", 400),
        ("/whatsapp/v23.0/1/messages", b'{"messaging_product": "whatsapp", "to": "x"}', 400),
        ("/whatsapp/v23.0/1/messages", b'{"messaging_product": "whatsapp", "to": "15550100123", "type": "text"}', 400),
        ("/resend/emails", b"{}", 422),
        ("/resend/emails", b'{"from": "a@example.com", "to": "b", "subject": "c"}', 422),
    ],
)
async def test_a_malformed_request_gets_the_providers_complaint(sandbox, path, body, status, plain):
    response = await plain.post(sandbox.url + path, content=body, headers=KEY)
    assert response.status_code == status
    assert {"message", "detail", "error"} & set(response.json())
    assert sandbox.effects() == []


async def test_the_record_shows_no_address_but_the_number_a_look_up_needs(sandbox, http):
    for action_type in ACTION_TYPES:
        await Sender(sandbox, http, action_type).send()
    lines = sandbox.record_path.read_text().splitlines()
    assert [line for line in lines if "asha@" in line] == []
    assert [line for line in lines if "5550100123" in line and '"bolna"' not in line] == []


async def test_the_summary_counts_by_provider_and_kind(sandbox, http, plain):
    sender = Sender(sandbox, http, "email")
    await sender.send()
    await sender.send()
    await Sender(sandbox, http, "ai_call").send()
    summary = (await plain.get(f"{sandbox.url}/record/summary")).json()
    assert summary == {"bolna": {"effect": 1}, "resend": {"effect": 1, "replayed": 1}}


@pytest.mark.parametrize("query", ["page_number=0", "page_size=51", "page_size=x", "from=yesterday"])
async def test_a_list_of_executions_that_cannot_be_made_is_a_400(sandbox, query, plain):
    assert (await plain.get(f"{sandbox.url}/bolna/v2/agent/a-1/executions?{query}", headers=KEY)).status_code == 400


async def test_an_unknown_execution_is_a_404(sandbox, plain):
    assert (await plain.get(f"{sandbox.url}/bolna/executions/{uuid4()}", headers=KEY)).status_code == 404
