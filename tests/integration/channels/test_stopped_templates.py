"""A template that its provider refuses for everybody stops; the account, its other templates and every action go on."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import pytest

from engage_pipeline.accounts.alarms import alarms
from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.opening import open_channels
from engage_pipeline.accounts.stopped import list_stopped, resume_templates
from engage_pipeline.accounts.store import add_account
from engage_pipeline.accounts.templates import save_templates
from engage_pipeline.channels.sandbox import dialects
from engage_pipeline.channels.templates import Template
from engage_pipeline.clock import utc_now
from engage_pipeline.flows.model import Flow
from engage_pipeline.settings import Settings
from engage_pipeline.webhooks.apply import apply_events
from tests.integration.ledger_world import World


class Routed(World):
    """A world whose requests go by the tenant's account, in chunks of ten."""

    def channel(self, action_type):
        return open_channels(self.connection, self.settings)[action_type]

    def apply_flow(self, *template_ids):
        actions = [
            {"action_order": order, "action_type": "whatsapp_message", "action_config": {"template_id": template_id}}
            for order, template_id in enumerate(template_ids, start=1)
        ]
        self.apply(Flow.model_validate({"name": "Welcome", "priority": 0, "actions": actions}))

    def stopped(self):
        return [(each.template_id, each.reason) for each in list_stopped(self.connection)]

    def requests(self):
        row = self.connection.execute("select coalesce(sum(attempt_count), 0) from flow_action_logs").fetchone()
        return row[0]

    def save(self, **content):
        template = Template("unapproved", "whatsapp_message", {"name": "unapproved", "language": "en_US", **content})
        save_templates(self.connection, self.tenant.user_id, [template])


@pytest.fixture
def world(database, connection, sandbox, tmp_path):
    settings = Settings(
        home=tmp_path, database_url=database, sandbox_url=sandbox.url, request_timeout_seconds=2, chunk_size=5
    )
    return Routed(database, connection, sandbox, settings)


@pytest.fixture
def unapproved(monkeypatch):
    """Meta knows no template "unapproved" until the test takes it out of this set."""
    names = {"unapproved"}
    read = dialects.WhatsAppDialect.read

    def refusing(self, body, headers):
        if body["template"]["name"] in names:
            return self._error(404, 132001, "(#132001) Template name does not exist in the translation")
        return read(self, body, headers)

    monkeypatch.setattr(dialects.WhatsAppDialect, "read", refusing)
    return names


WORDS = "WhatsApp 132001: the template does not exist in this language, or is not approved"


async def test_a_refused_template_stops_without_burning_through_the_list(world, unapproved):
    world.apply_flow("unapproved")
    for _ in range(60):
        world.contact()
    await world.settle()
    assert set(world.statuses()) == {"pending"}
    # What was claimed before the first answer was recorded: four chunks at the most.
    assert 0 < world.requests() <= 20
    assert world.stopped() == [("unapproved", WORDS)]
    assert len(alarms(world.connection, "whatsapp_message")) == 1
    assert alarms(world.connection, "email") == []
    paused = world.connection.execute("select count(*) from channel_accounts where paused_at is not null")
    assert paused.fetchone() == (0,)
    asked = world.requests()
    world.pass_time(hours=1)
    world.contact()
    await world.settle()
    assert world.requests() == asked


async def test_the_accounts_other_templates_go_on(world, unapproved):
    world.apply_flow("unapproved")
    world.contact()
    await world.settle()
    world.apply_flow("welcome")
    world.contact()
    await world.settle()
    assert world.statuses() == ["pending", "sent"]


async def mended_at_meta(world, unapproved):
    unapproved.clear()
    resume_templates(world.connection, world.tenant.user_id, template_id="unapproved")


async def another_template(world, unapproved):
    unapproved.clear()
    world.save(body=["{{ first_name }}"])
    world.connection.execute("update contacts set first_name = 'Asha'")


async def another_account(world, unapproved):
    unapproved.clear()
    keyring = Keyring(world.settings)
    user_id = world.tenant.user_id
    add_account(world.connection, keyring, user_id, "whatsapp", mode="sandbox", credentials={}, settings={})


@pytest.mark.parametrize("mend", [mended_at_meta, another_template, another_account])
async def test_once_it_is_mended_everything_goes_out(world, unapproved, mend):
    world.apply_flow("unapproved")
    for _ in range(15):
        world.contact()
    await world.settle()
    await mend(world, unapproved)
    assert world.stopped() == []
    world.pass_time(hours=1)
    await world.settle()
    assert world.statuses() == ["sent"] * 15
    assert len(set(world.effects())) == len(world.effects()) == 15


async def test_an_unchanged_template_that_is_applied_again_lifts_nothing(world, unapproved):
    world.save()
    world.apply_flow("unapproved")
    world.contact()
    await world.settle()
    world.save()
    assert len(world.stopped()) == 1


async def test_a_webhook_that_tells_of_it_stops_the_template_of_its_message(world):
    world.apply_flow("welcome")
    world.contact()
    await world.settle()
    log = world.only_log()
    status = {
        "id": log.provider_message_id,
        "status": "failed",
        "timestamp": str(int(utc_now().timestamp())),
        "errors": [{"code": 132015}],
    }
    world.connection.execute(
        "insert into provider_events (account_id, event_key, body) select id, %s, %s from channel_accounts"
        " where provider = 'whatsapp'",
        [uuid4().hex, json.dumps({"status": status})],
    )
    channels = open_channels(world.connection, world.settings)
    now = utc_now() + timedelta(seconds=1)
    report = await asyncio.to_thread(apply_events, world.connection, channels, world.settings, now=now)
    assert (report.stopped_template_count, report.paused) == (1, [])
    assert world.stopped() == [("welcome", "132015: the template is paused for its quality")]
    world.contact()
    await world.settle()
    assert world.statuses() == ["failed", "pending"]
