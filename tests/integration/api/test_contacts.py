"""Contacts over HTTP: created one by one or a thousand at once, recognised, tagged, opted out."""

from uuid import uuid4

import pytest

from engage_pipeline.analytics.read import query
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect
from engage_pipeline.execution.batches import form_batches
from engage_pipeline.privacy.forget import forget_contact
from tests.integration.api.conftest import Api

CONTACTS = "/api/contacts"
ADA = {"external_id": "crm-1", "phone": "(202) 555-0171", "email": "Ada@Example.com", "first_name": "Ada"}


def test_a_created_contact_is_cleaned_and_waits_for_the_same_sensor_as_an_upload(api: Api):
    answer = api.post(CONTACTS, {**ADA, "tags": ["hot"], "custom_fields": {"Team size": 50, "Plan": "pro"}})
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert answer.headers["location"] == f"{CONTACTS}/{shown['id']}"
    assert (shown["phone_e164"], shown["email"], shown["entry_type"]) == ("+12025550171", "ada@example.com", "api")
    assert shown["custom_fields"] == {"Team size": 50, "Plan": "pro"}
    assert shown["tags"] == ["hot"]
    assert shown["time_zones"]
    assert api.get(f"{CONTACTS}/{shown['id']}").json() == shown
    (batch,) = form_batches(api.connection, "new_contacts", api.settings)
    assert batch.item_count == 1


def test_sensors_are_told_of_a_contact_and_the_warehouse_sees_it(api: Api):
    with connect(api.url) as listener:
        listener.execute("listen new_contacts")
        contact_id = api.post(CONTACTS, ADA).json()["id"]
        assert [notice.channel for notice in listener.notifies(timeout=5, stop_after=1)] == ["new_contacts"]
    api.publish_warehouse()
    found = query(api.settings.warehouse, f"select entry_type from stg_contacts where contact_id = '{contact_id}'")
    assert found.rows == (("api",),)


def test_a_contact_that_is_known_takes_what_is_new(api: Api):
    first = api.post(CONTACTS, ADA).json()
    again = api.post(CONTACTS, {**ADA, "company": "Example Inc."})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert (again.json()["company"], again.json()["first_name"]) == ("Example Inc.", "Ada")
    by_email = api.post(CONTACTS, {"email": "ada@example.com", "last_name": "Example"})
    assert (by_email.status_code, by_email.json()["id"]) == (200, first["id"])


def test_how_a_contact_came_and_whose_id_it_has_are_kept(api: Api):
    shown = api.post(CONTACTS, {**ADA, "entry_type": "manual", "source_system": "crm"}).json()
    assert (shown["entry_type"], shown["source_system"], shown["external_id"]) == ("manual", "crm", "crm-1")


def test_a_lead_source_keeps_its_first_spelling(api: Api):
    api.connection.execute(
        "insert into contacts (user_id, email, entry_type, lead_source) values (%s, 'x@example.com', 'manual', 'Fair')",
        [api.tenant("acme").user_id],
    )
    given = ["FAIR", "Web  site", "web site"]
    shown = [
        api.post(CONTACTS, {"email": f"lead{number}@example.com", "lead_source": source}).json()["lead_source"]
        for number, source in enumerate(given)
    ]
    assert shown == ["Fair", "Web site", "Web site"]


@pytest.mark.parametrize(
    ("contact", "field"),
    [
        ({"phone": "12"}, "phone"),
        ({"email": "ada@"}, "email"),
        ({"email": "ada@example.com", "phone": "12"}, "phone"),
        ({"external_id": "x", "email": "ada@"}, "email"),
        ({"first_name": "Ada"}, "body"),
        ({"email": "ada@example.com", "tags": ["a,b"]}, "tags[0]"),
        ({"email": "ada@example.com", "surname": "Example"}, "surname"),
        ({"email": "ada@example.com", "first_name": "A\0"}, "first_name"),
        ({"email": "ada@example.com", "custom_fields": {"x": "A\0"}}, "custom_fields"),
    ],
)
def test_a_contact_that_cannot_be_taken_says_which_field(api: Api, contact, field):
    answer = api.post(CONTACTS, contact)
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert answer.json()["errors"][0]["fix"]


def test_many_contacts_have_one_result_each_in_their_order(api: Api):
    api.post(CONTACTS, {"email": "known@example.com"})
    given = [
        {"email": "one@example.com"},
        {"email": "known@example.com", "company": "Example Inc."},
        {"email": "ONE@example.com"},
        {"phone": "nothing"},
        {"external_id": "x-1"},
        {"email": "known@example.com"},
    ]
    answer = api.post(f"{CONTACTS}/bulk", {"contacts": given})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    statuses = [each["status"] for each in said["results"]]
    assert statuses == ["created", "updated", "duplicate", "rejected", "created", "updated"]
    assert [each["index"] for each in said["results"]] == list(range(6))
    assert said["results"][0]["id"] == said["results"][2]["id"]
    assert said["results"][3]["reason_code"] == "invalid_phone"
    assert (said["created"], said["updated"], said["duplicate"], said["rejected"]) == (2, 2, 1, 1)
    unchanged = api.post(f"{CONTACTS}/bulk", {"contacts": [{"email": "known@example.com"}]}).json()
    assert unchanged["unchanged"] == 1


def test_a_thousand_contacts_are_one_request_and_more_are_refused(api: Api):
    many = [{"email": f"lead{number}@example.com", "custom_fields": {"n": number}} for number in range(1000)]
    answer = api.post(f"{CONTACTS}/bulk", {"contacts": many, "source_system": "crm"})
    assert answer.json()["created"] == 1000
    assert api.post(f"{CONTACTS}/bulk", {"contacts": [*many, many[0]]}).status_code == 422
    assert api.post(f"{CONTACTS}/bulk", {"contacts": []}).status_code == 422


def test_wishes_that_come_with_a_contact_are_kept_by_address(api: Api):
    shown = api.post(CONTACTS, {**ADA, "do_not_call": True}).json()
    assert shown["suppressed_channels"] == ["ai_call"]
    rows = api.connection.execute("select channel, address from suppressions").fetchall()
    assert rows == [("ai_call", "+12025550171")]
    never = api.post(CONTACTS, {"email": "no@example.com", "do_not_contact": True}).json()
    assert never["is_dnc"] is True


def test_contacts_are_found_by_what_they_are_known_by(api: Api):
    ada = api.post(CONTACTS, ADA).json()["id"]
    theirs = api.post(CONTACTS, ADA, tenant="other").json()["id"]
    assert ada != theirs
    for asked in ({"phone": "202-555-0171"}, {"email": "ADA@example.com"}, {"external_id": "crm-1"}):
        assert [each["id"] for each in api.get(CONTACTS, params=asked).json()["items"]] == [ada]
    assert api.get(CONTACTS, params={"phone": "12"}).json() == {"items": []}
    assert api.get(CONTACTS).status_code == 422


def test_tags_are_added_and_taken_off_and_a_wish_is_not_taken_back(api: Api):
    contact_id = api.post(CONTACTS, {**ADA, "tags": ["Hot", "vip"]}).json()["id"]
    changed = api.post(f"{CONTACTS}/{contact_id}/tags", {"add": ["HOT", "new"], "remove": ["VIP"]})
    assert changed.json()["tags"] == ["Hot", "new"]
    refused = api.post(f"{CONTACTS}/{contact_id}/tags", {"add": ["DNC"]})
    assert refused.json()["is_dnc"] is True
    assert {each["channel"] for each in api.get("/api/suppressions").json()["items"]} == {
        "ai_call",
        "whatsapp_message",
        "email",
    }
    stays = api.post(f"{CONTACTS}/{contact_id}/tags", {"remove": ["dnc"]})
    assert (stays.status_code, stays.json()["code"]) == (422, "tag-stays")


def test_an_opt_out_is_kept_and_stops_what_is_pending(api: Api):
    contact_id = api.new_contact("ada@example.com")
    execution_id = api.new_execution(api.new_flow(), contact_id)
    answer = api.post(f"{CONTACTS}/{contact_id}/opt-out", {"channels": ["email"], "source": "phone call"})
    assert answer.json()["suppressed_channels"] == ["email"]
    rows = api.connection.execute("select channel, address, source from suppressions").fetchall()
    assert rows == [("email", "ada@example.com", "phone call")]
    log = api.get(f"/api/auto-engagement/executions/{execution_id}").json()["action_logs"][0]
    assert (log["status"], log["skip_reason"]) == ("skipped", "suppressed")
    everything = api.post(f"{CONTACTS}/{contact_id}/opt-out")
    assert everything.json()["suppressed_channels"] == ["ai_call", "email", "whatsapp_message"]


def test_a_contact_that_nobody_has_is_not_found(api: Api):
    for method, path in (("GET", ""), ("POST", "/tags"), ("POST", "/opt-out"), ("GET", "/explanation")):
        answer = api.call(
            method, f"{CONTACTS}/{uuid4()}{path}", json={} if method == "POST" and path == "/tags" else None
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "no-contact"), path


def test_a_kept_answer_goes_with_the_person_that_it_names(api: Api):
    for email in ("ada@example.com", "bob@example.com"):
        api.post(CONTACTS, {"email": email}, headers={"Idempotency-Key": email})
    ada = api.get(CONTACTS, params={"email": "ada@example.com"}).json()["items"][0]["id"]
    forget_contact(api.connection, api.settings, ada, now=utc_now())
    assert api.connection.execute("select key from idempotency_keys").fetchall() == [("bob@example.com",)]


def test_somebody_who_was_forgotten_comes_back_suppressed(api: Api):
    first = api.post(CONTACTS, ADA).json()["id"]
    forget_contact(api.connection, api.settings, first, now=utc_now())
    back = api.post(CONTACTS, ADA)
    assert back.status_code == 201, back.text
    assert back.json()["suppressed_channels"] == ["ai_call", "whatsapp_message", "email"]
