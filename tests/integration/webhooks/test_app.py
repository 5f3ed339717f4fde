"""Receiving webhooks: what is verified, what is stored, and what a provider is answered."""

import asyncio
import json
import logging

import httpx
import pytest

from engage_pipeline.webhooks import endpoints
from engage_pipeline.webhooks.serve import webhook_server

BODIES = {
    "bolna": b'{"id": "e-1", "status": "ringing", "created_at": "2026-11-24T10:00:00"}',
    "whatsapp": json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "changes": [
                        {
                            "field": "messages",
                            "value": {
                                "statuses": [
                                    {"id": "wamid.A", "status": "sent", "timestamp": "1698266945"},
                                    {"id": "wamid.B", "status": "read", "timestamp": "1698266945"},
                                ]
                            },
                        }
                    ]
                }
            ],
        }
    ).encode(),
    "resend": b'{"type": "email.sent", "created_at": "2026-11-24T10:00:00Z", "data": {"email_id": "m-1"}}',
    "sendgrid": b'[{"event": "delivered", "sg_event_id": "ev-2", "sg_message_id": "sg", "timestamp": 1600112492}]\r\n',
}
SIGNED = ["whatsapp", "resend", "sendgrid"]


@pytest.mark.parametrize(
    ("provider", "keys"),
    [
        ("bolna", ["e-1:ringing"]),
        ("whatsapp", ["wamid.A:sent", "wamid.B:read"]),
        ("resend", ["msg_1"]),
        ("sendgrid", ["ev-2"]),
    ],
)
async def test_a_webhook_is_stored_once_however_often_it_comes(hooks, provider, keys):
    for _ in range(3):
        assert (await hooks.post(provider, BODIES[provider])).status_code == 200
    assert hooks.stored() == [(key, 3) for key in keys]


async def test_many_at_once_are_all_stored(hooks):
    key = hooks.key("resend")
    responses = await asyncio.gather(
        *(hooks.post("resend", BODIES["resend"], key=key, message_id=f"msg_{number % 150}") for number in range(300))
    )
    assert {response.status_code for response in responses} == {200}
    assert sorted(hooks.stored()) == sorted((f"msg_{number}", 2) for number in range(150))


@pytest.mark.parametrize("provider", SIGNED)
async def test_a_body_changed_by_one_byte_is_refused_and_not_stored(hooks, provider):
    key, raw = hooks.key(provider), BODIES[provider]
    changed = raw.replace(b"wamid.A", b"wamid.C") if provider == "whatsapp" else raw.replace(b"2", b"3", 1)
    signed_for_raw = await hooks.post(provider, raw, key=key)
    headers = {
        name: value
        for name, value in signed_for_raw.request.headers.items()
        if name.startswith(("svix-", "x-twilio-")) or name == "x-hub-signature-256"
    }
    before = hooks.stored()
    assert (await hooks.post(provider, changed, key=key, **headers)).status_code == 401
    assert hooks.stored() == before


@pytest.mark.parametrize("provider", SIGNED)
async def test_a_webhook_without_its_signature_is_refused(hooks, provider):
    key = hooks.key(provider)
    response = await hooks.client.post(f"/webhooks/{provider}/{key.token}", content=BODIES[provider])
    assert response.status_code == 401
    assert hooks.stored() == []


async def test_another_tenants_secret_does_not_sign(hooks):
    mine, theirs = hooks.key("resend", "acme"), hooks.key("resend", "other")
    assert (await hooks.post("resend", BODIES["resend"], key=theirs, token=mine.token)).status_code == 401


@pytest.mark.parametrize("provider", ["resend", "bolna", "nobody", "smtp"])
async def test_a_path_that_nobody_has_is_not_found(hooks, provider):
    hooks.key("whatsapp")
    token = hooks.key("whatsapp").token
    for each in (token, "x" * 64):
        response = await hooks.client.post(f"/webhooks/{provider}/{each}", content=b"{}")
        assert response.status_code == 404


async def test_an_account_that_was_just_added_is_known(hooks):
    assert (await hooks.post("resend", BODIES["resend"], key=hooks.key("resend", "first"))).status_code == 200
    await asyncio.sleep(1.05)  # tokens that are not known are looked up once a second
    assert (await hooks.post("resend", BODIES["resend"], key=hooks.key("resend", "second"))).status_code == 200


@pytest.mark.parametrize("raw", [b"", b"not json", b"[]", b'{"object": "page"}', b"\xff"])
async def test_what_is_no_webhook_of_the_provider_is_refused(hooks, raw):
    assert (await hooks.post("whatsapp", raw)).status_code == 400
    assert (await hooks.post("bolna", raw)).status_code == 400
    assert hooks.stored() == []


async def test_more_than_any_provider_sends_is_refused(hooks):
    assert (await hooks.post("bolna", b" " * (4 * 1024 * 1024 + 1))).status_code == 413


async def test_a_database_that_is_away_makes_the_provider_send_again(hooks):
    key = hooks.key("resend")
    assert (await hooks.post("resend", BODIES["resend"], key=key)).status_code == 200
    hooks.connection.execute("alter table provider_events rename to provider_events_elsewhere")
    assert (await hooks.post("resend", BODIES["resend"], key=key, message_id="msg_2")).status_code == 503
    hooks.connection.execute("alter table provider_events_elsewhere rename to provider_events")
    assert (await hooks.post("resend", BODIES["resend"], key=key, message_id="msg_2")).status_code == 200
    assert hooks.stored() == [("msg_1", 1), ("msg_2", 1)]


async def test_metas_handshake_gives_the_challenge_to_whoever_knows_the_token(hooks):
    key = hooks.key("whatsapp")
    path = f"/webhooks/whatsapp/{key.token}"
    query = {"hub.mode": "subscribe", "hub.verify_token": key.token[:16], "hub.challenge": "1158201444"}
    good = await hooks.client.get(path, params=query)
    assert (good.status_code, good.text) == (200, "1158201444")
    for change in ({"hub.verify_token": "x"}, {"hub.mode": "unsubscribe"}, {"hub.verify_token": ""}):
        assert (await hooks.client.get(path, params={**query, **change})).status_code == 403
    assert (await hooks.client.get("/webhooks/whatsapp/elsewhere", params=query)).status_code == 403


@pytest.mark.parametrize(
    ("allowed", "status"),
    [
        ("192.0.2.7", 200),
        ("192.0.2.0/24", 200),
        ("203.0.113.9, 192.0.2.7", 200),
        ("203.0.113.9", 403),
        ("nonsense", 403),
        ("", 200),
    ],
)
async def test_an_address_list_lets_in_whom_it_names(hooks, allowed, status):
    hooks.key("bolna")
    hooks.connection.execute(
        "update channel_accounts set settings = settings || jsonb_build_object('allowed_addresses', %s::text)",
        [allowed],
    )
    response = await hooks.post("bolna", BODIES["bolna"], **{"X-Forwarded-For": "203.0.113.9"})
    assert response.status_code == status


async def test_the_log_and_the_table_show_no_token(hooks, caplog):
    caplog.set_level(logging.DEBUG)
    key = hooks.key("resend")
    await hooks.post("resend", BODIES["resend"], key=key)
    await hooks.client.post(f"/webhooks/resend/{key.token[:-1]}", content=b"{}")
    ours = [record.getMessage() for record in caplog.records if record.name == "engage.webhooks"]
    assert len(ours) == 2
    assert all("/webhooks/resend/***" in line for line in ours)
    assert not any(key.token[:8] in line or key.secret in line for line in ours)
    dump = hooks.connection.execute("select accounts::text from channel_accounts as accounts").fetchall()
    assert not any(key.token in row or key.secret in row for (row,) in dump)


async def test_known_paths_are_read_again_while_requests_go_on(hooks, monkeypatch):
    key = hooks.key("resend")
    assert (await hooks.post("resend", BODIES["resend"], key=key)).status_code == 200
    monkeypatch.setattr(endpoints, "_FRESH_SECONDS", 0.0)
    hooks.connection.execute("update channel_accounts set webhook_token_sha256 = id::text")
    statuses = []
    while 404 not in statuses:
        statuses.append((await hooks.post("resend", BODIES["resend"], key=key)).status_code)
        assert len(statuses) < 200
        await asyncio.sleep(0.01)
    assert set(statuses) == {200, 404}


async def test_without_a_database_a_known_path_is_answered_for_a_minute_and_then_not(hooks, monkeypatch):
    key = hooks.key("resend")
    assert (await hooks.post("resend", BODIES["resend"], key=key)).status_code == 200
    monkeypatch.setattr(endpoints, "_FRESH_SECONDS", 0.0)
    hooks.connection.execute("alter table channel_accounts rename to elsewhere")
    assert (await hooks.post("resend", BODIES["resend"], key=key)).status_code == 200
    monkeypatch.setattr(endpoints, "_OLDEST_SECONDS", 0.0)
    assert (await hooks.post("resend", BODIES["resend"], key=key)).status_code == 503
    hooks.connection.execute("alter table elsewhere rename to channel_accounts")


@pytest.mark.parametrize(
    ("trusted", "status"), [("none", 403), ("192.0.2.1", 403), ("127.0.0.1", 200), ("192.0.2.1, 127.0.0.0/8", 200)]
)
async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(hooks, trusted, status):
    key = hooks.key("bolna")
    hooks.connection.execute('update channel_accounts set settings = \'{"allowed_addresses": "203.0.113.9"}\'')
    settings = hooks.settings.model_copy(update={"trusted_proxies": trusted})
    server = webhook_server(settings, hooks.url, port=0)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(
            f"http://127.0.0.1:{port}/webhooks/bolna/{key.token}",
            content=BODIES["bolna"],
            headers={"X-Forwarded-For": "203.0.113.9"},
        )
    server.should_exit = True
    await serving
    assert response.status_code == status
