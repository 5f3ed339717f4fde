"""Applying what providers told: matched, confirmed, counted, and never twice."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.opening import open_channels, unsubscribe_links
from engage_pipeline.accounts.store import list_accounts
from engage_pipeline.clock import utc_now
from engage_pipeline.webhooks.app import WebhookApp
from engage_pipeline.webhooks.apply import UNKNOWN_AFTER, apply_events
from engage_pipeline.webhooks.endpoints import Endpoints
from engage_pipeline.webhooks.poll import FIRST_ASKED_AFTER_SECONDS, poll_overdue
from tests.integration.ledger_world import World, flow_of


class Told(World):
    """An installation whose channels go by the tenants' accounts, with events put in as the application stores them."""

    @property
    def channels(self):
        return open_channels(self.connection, self.settings)

    def channel(self, action_type):
        return self.channels[action_type]

    def event(self, provider, body, *, key=None, tenant=None, age=timedelta()):
        """One stored event of the tenant's account with the provider."""
        self.channels  # noqa: B018 - makes the accounts
        (account,) = [
            each
            for each in list_accounts(self.connection)
            if (each.provider, each.tenant_name) == (provider, tenant or self.tenant_name)
        ]
        self.connection.execute(
            "insert into provider_events (account_id, event_key, body, received_at) values (%s, %s, %s, %s)",
            [account.account_id, key or uuid4().hex, json.dumps(body), utc_now() - age],
        )

    async def apply(self, *, now=None):
        return await asyncio.to_thread(
            apply_events, self.connection, self.channels, self.settings, now=now or utc_now()
        )

    def results(self):
        return [row[0] for row in self.connection.execute("select result from provider_events order by id")]

    async def sent(self, action_type, *following):
        """The log of one contact's first action, accepted."""
        self.apply_flow(action_type, *following)
        self.contact()
        await self.settle()
        return self.logs()[0]

    def apply_flow(self, *steps):
        World.apply(self, flow_of(*steps))


@pytest.fixture
def world(database, connection, sandbox, tmp_path):
    from engage_pipeline.settings import Settings

    settings = Settings(
        home=tmp_path,
        database_url=database,
        sandbox_url=sandbox.url,
        request_timeout_seconds=2,
        batch_size=100,
        max_send_attempts=3,
    )
    return Told(database, connection, sandbox, settings)


def email(log, kind, **data):
    return {
        "type": f"email.{kind}",
        "created_at": utc_now().isoformat(),
        "data": {"email_id": log.provider_message_id, "tags": {"action_log_id": str(log.id)}, **data},
    }


def whatsapp(log, status, **fields):
    return {
        "status": {
            "id": log.provider_message_id,
            "status": status,
            "timestamp": str(int(utc_now().timestamp())),
            "biz_opaque_callback_data": str(log.id),
            **fields,
        }
    }


async def test_an_event_becomes_the_outcome_and_its_repetition_changes_nothing(world):
    log = await world.sent("email")
    assert log.status == "sent"
    world.event("resend", email(log, "delivered"))
    report = await world.apply()
    assert (report.results, world.only_log().outcome, world.only_log().status) == (
        Counter({"applied": 1}),
        "delivered",
        "success",
    )
    world.event("resend", email(log, "delivered"))
    before = world.logs()
    assert (await world.apply()).outcomes == Counter({"superseded": 1})
    assert world.logs() == before
    assert (await world.apply()).event_count == 0


async def test_events_out_of_order_end_as_those_in_order(world):
    log = await world.sent("whatsapp_message")
    for status in ("read", "sent", "delivered"):
        world.event("whatsapp", whatsapp(log, status))
    await world.apply()
    assert (world.only_log().outcome, world.only_log().status) == ("read", "success")


async def test_an_event_by_the_providers_id_alone_is_matched(world):
    log = await world.sent("email")
    world.event("resend", email(log, "opened", tags={}))
    await world.apply()
    assert world.only_log().outcome == "opened"


async def test_an_event_before_our_own_record_waits_for_it(world):
    log = await world.sent("email")
    world.connection.execute("update flow_action_logs set provider_message_id = null")
    world.event("resend", email(log, "delivered", tags={}))
    report = await world.apply()
    assert (report.event_count, report.put_off_count) == (0, 1)
    world.connection.execute("update flow_action_logs set provider_message_id = %s", [log.provider_message_id])
    await world.apply(now=utc_now() + timedelta(seconds=5))
    assert (world.results(), world.only_log().outcome) == (["applied"], "delivered")


async def test_an_event_about_nothing_of_ours_is_counted_in_the_end(world):
    log = await world.sent("email")
    stranger = email(log, "delivered", email_id=str(uuid4()), tags={"action_log_id": str(uuid4())})
    world.event("resend", stranger, age=UNKNOWN_AFTER + timedelta(seconds=1))
    await world.apply()
    assert (world.results(), world.only_log().outcome) == (["unknown_id"], "accepted")


async def test_an_event_on_another_tenants_path_changes_nothing(world):
    log = await world.sent("email")
    World("", world.connection, None, world.settings, "other").tenant  # noqa: B018 - makes the tenant
    world.event("resend", email(log, "complained"), tenant="other")
    await world.apply()
    assert (world.results(), world.only_log().outcome) == (["other_tenant"], "accepted")
    assert world.connection.execute("select count(*) from suppressions").fetchone() == (0,)


async def test_what_cannot_be_read_is_counted_and_holds_nothing_up(world):
    log = await world.sent("email")
    world.event("resend", {"type": "email.delivered", "data": {}})
    world.event("resend", {"type": "contact.created"})
    world.event("resend", email(log, "delivered"))
    await world.apply()
    assert world.results() == ["unreadable", "nothing", "applied"]


@pytest.mark.parametrize(
    ("event", "source"),
    [
        ({"message": {"from": "12025550001", "id": "i", "type": "text", "text": {"body": "Stop"}}}, "whatsapp_reply"),
        (
            {"preference": {"wa_id": "12025550001", "category": "marketing_messages", "value": "stop"}},
            "whatsapp_user_preferences",
        ),
    ],
)
async def test_a_persons_no_suppresses_and_stops_what_is_pending(world, event, source):
    world.apply_flow("wait", "whatsapp_message", "email")
    world.contact()
    lease = world.started()
    world.connection.execute(
        "update flow_action_logs set action_type = 'whatsapp_message', due_at = now() + interval '1 day'"
    )
    assert lease
    world.event("whatsapp", event)
    report = await world.apply()
    assert (report.results, report.opt_out_count) == (Counter({"opted_out": 1}), 1)
    assert world.connection.execute("select channel, address, source from suppressions").fetchall() == [
        ("whatsapp_message", "+12025550001", source)
    ]
    assert world.logs()[0].skip_reason == "suppressed"


async def test_131050_is_an_opt_out_of_the_messages_own_contact(world):
    log = await world.sent("whatsapp_message", "whatsapp_message")
    world.event("whatsapp", whatsapp(log, "failed", errors=[{"code": 131050}]))
    await world.apply()
    assert world.logs()[0].outcome == "opted_out"
    assert world.connection.execute("select channel from suppressions").fetchall() == [("whatsapp_message",)]


async def test_trouble_of_the_account_pauses_it_and_nothing_more_is_claimed(world):
    log = await world.sent("whatsapp_message")
    world.event("whatsapp", whatsapp(log, "failed", errors=[{"code": 131042}]))
    report = await world.apply()
    assert len(report.paused) == 1
    world.contact()
    await world.settle()
    assert [log.status for log in world.logs()] == ["failed", "pending"]
    assert len(world.effects()) == 1
    world.connection.execute("update channel_accounts set paused_at = null, paused_reason = null")
    await world.settle()
    assert [log.status for log in world.logs()] == ["failed", "sent"]


def call(log, status, **fields):
    return {
        "id": log.provider_message_id,
        "status": status,
        "created_at": utc_now().isoformat(),
        "context_details": {"recipient_data": {"action_log_id": str(log.id)}},
        **fields,
    }


async def test_a_forged_end_of_a_call_counts_for_nothing(world):
    world.sandbox.behave(outcome_seconds=3600)
    log = await world.sent("ai_call")
    world.event("bolna", call(log, "completed", conversation_duration=60, total_cost=1))
    world.event("bolna", call(log, "balance-low"))
    report = await world.apply()
    assert (world.results(), report.paused) == (["unconfirmed", "unconfirmed"], [])
    assert world.only_log().status == "sent"


async def test_the_end_of_a_call_is_taken_from_bolna_itself(world):
    world.sandbox.behave(outcome_seconds=0, answered_share=1)
    log = await world.sent("ai_call")
    world.event("bolna", call(log, "completed", conversation_duration=1, transcript="forged"))
    await world.apply()
    row = world.connection.execute(
        "select status, outcome, call_seconds > 1, cost_cents > 0, result_data ->> 'transcript' from flow_action_logs"
    ).fetchone()
    assert row[:4] == ("success", "answered", True, True)
    assert "sandbox" in row[4]


async def test_a_call_that_cannot_be_confirmed_now_is_confirmed_later(world):
    world.sandbox.behave(outcome_seconds=0, answered_share=1)
    log = await world.sent("ai_call")
    world.event("bolna", call(log, "completed", conversation_duration=1))
    channels = world.channels
    await asyncio.to_thread(world.sandbox.stop)
    report = await asyncio.to_thread(apply_events, world.connection, channels, world.settings, now=utc_now())
    assert report.put_off_count == 1
    await asyncio.to_thread(world.sandbox.start)
    await world.apply(now=utc_now() + timedelta(minutes=1))
    assert (world.results(), world.only_log().outcome) == (["applied"], "answered")


@pytest.mark.parametrize(("action_type", "outcome"), [("ai_call", "answered"), ("email", "delivered")])
async def test_an_outcome_that_no_webhook_brought_is_asked_for_once_it_is_overdue(world, action_type, outcome):
    world.sandbox.behave(outcome_seconds=0, answered_share=1, bounced_share=0, opened_share=0, complained_share=0)
    await world.sent(action_type)

    async def poll():
        return await asyncio.to_thread(poll_overdue, world.connection, world.channels, world.settings, now=utc_now())

    assert await poll() == Counter()
    world.connection.execute(
        "update flow_action_logs set accepted_at = accepted_at - make_interval(secs => %s)",
        [FIRST_ASKED_AFTER_SECONDS],
    )
    assert await poll() == Counter({"applied": 1})
    assert world.only_log().outcome == outcome
    assert await poll() == Counter()


async def test_an_overdue_outcome_is_asked_for_less_and_less_often(world):
    world.sandbox.behave(outcome_seconds=36_000)
    await world.sent("ai_call")
    world.connection.execute("update flow_action_logs set accepted_at = accepted_at - interval '700 seconds'")
    for _ in range(2):
        await asyncio.to_thread(poll_overdue, world.connection, world.channels, world.settings, now=utc_now())
    first = world.connection.execute("select outcome_asked_at from flow_action_logs").fetchone()
    await asyncio.to_thread(poll_overdue, world.connection, world.channels, world.settings, now=utc_now())
    assert world.connection.execute("select outcome_asked_at from flow_action_logs").fetchone() == first


async def unsubscribe_client(world):
    keyring = Keyring(world.settings)
    links = unsubscribe_links(world.settings, keyring)
    app = WebhookApp(world.url, Endpoints(world.url, keyring), links).app()
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8901")
    return client, links


async def test_an_unsubscribe_link_shows_a_page_and_only_its_button_stops(world):
    log = await world.sent("email", "email")
    client, links = await unsubscribe_client(world)
    link = links.link(str(log.id))
    suppressed = "select channel, address from suppressions"
    async with client:
        for _ in range(2):  # scanners follow links
            page = await client.get(link)
            assert (page.status_code, "<form method=" in page.text) == (200, True)
        assert world.connection.execute(suppressed).fetchall() == []
        answer = await client.post(link, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert world.connection.execute(suppressed).fetchall() == [("email", "lead1@example.com")]
        assert (await client.post(link)).status_code == 200
        for wrong in (link[:-3] + "AAA", links.link(str(uuid4()))):
            assert (await client.post(wrong)).status_code == 404
    assert world.logs()[0].outcome == "opted_out"
