"""A POST with an Idempotency-Key is carried out once, whatever comes between."""

import threading
from uuid import uuid4

from tests.integration.api.conftest import FLOWS, Api, flow


def flows_of(api: Api) -> int:
    row = api.connection.execute("select count(*) from auto_engagement_flows").fetchone()
    assert row is not None
    return row[0]


def test_a_repeated_request_gets_the_same_answer_and_changes_nothing(api: Api):
    key = {"Idempotency-Key": str(uuid4())}
    first = api.post(FLOWS, flow(), headers=key)
    again = api.post(FLOWS, flow(), headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert flows_of(api) == 1


def test_a_key_belongs_to_one_request(api: Api):
    key = {"Idempotency-Key": "the-same"}
    api.post(FLOWS, flow("One", 0), headers=key)
    other = api.post(FLOWS, flow("Two", 1), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert flows_of(api) == 1


def test_a_key_is_the_tenants_own(api: Api):
    key = {"Idempotency-Key": "the-same"}
    assert api.post(FLOWS, flow(), headers=key).status_code == 201
    theirs = api.post(FLOWS, flow("Theirs"), headers=key, tenant="other")
    assert (theirs.status_code, theirs.json()["name"]) == (201, "Theirs")


def test_a_request_that_was_refused_may_be_mended_under_its_key(api: Api):
    api.new_flow("One", 0)
    key = {"Idempotency-Key": "mended"}
    assert api.post(FLOWS, flow("Two", 0), headers=key).status_code == 409
    assert api.post(FLOWS, flow("Two", 1), headers=key).status_code == 201


def test_of_two_at_once_one_is_carried_out(api: Api):
    key = {"Idempotency-Key": "raced"}
    answers = []

    def send() -> None:
        answers.append(api.post(FLOWS, flow(), headers=key))

    api.tenant("acme")
    racers = [threading.Thread(target=send) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    assert [each.status_code for each in answers] == [201] * 4
    assert len({each.json()["id"] for each in answers}) == 1
    assert flows_of(api) == 1
