"""Lead files over HTTP: streamed to the inbox whole or not at all, with their books and rejects."""

from uuid import UUID

import pytest

from engage_pipeline.clock import utc_now
from engage_pipeline.database.leases import requested
from engage_pipeline.intake.ingest import ingest
from tests.integration.api.conftest import Api

UPLOADS = "/api/uploads"
LEADS = b"Email,First Name\nada@example.com,Ada\nnobody,Bob\n"


def send(api: Api, content: bytes = LEADS, name: str = "leads.csv", *, headers=None, **fields):
    return api.call("POST", UPLOADS, files={"file": (name, content)}, data=fields, headers=headers)


def load(api: Api, upload_id: str) -> None:
    [(_, attempt)] = [each for each in requested(api.connection, "lead_uploads") if each[0] == UUID(upload_id)]
    ingest(api.url, api.settings, UUID(upload_id), attempt)


def test_an_uploaded_file_lies_in_the_inbox_and_waits(api: Api):
    answer = send(api, encoding="utf-8", known_contacts="leave")
    assert answer.status_code == 202, answer.text
    shown = answer.json()
    assert (shown["status"], shown["file_name"]) == ("waiting", "leads.csv")
    assert shown["options"] == {"encoding": "utf-8", "known_contacts": "leave"}
    assert answer.headers["location"] == f"{UPLOADS}/{shown['id']}"
    assert (api.settings.inbox / "acme" / "leads.csv").read_bytes() == LEADS
    assert sorted(path.name for path in (api.settings.inbox / "acme").iterdir()) == ["leads.csv"]


def test_books_and_rejects_of_a_loaded_file(api: Api):
    api.connection.execute("update users set reject_threshold = 1")
    api.tenant("acme")
    api.connection.execute("update users set reject_threshold = 1")
    upload_id = send(api).json()["id"]
    load(api, upload_id)
    shown = api.get(f"{UPLOADS}/{upload_id}").json()
    assert (shown["status"], shown["rows_read"], shown["rows_inserted"], shown["rows_rejected"]) == ("loaded", 2, 1, 1)
    assert shown["rejected"] == [{"reason_code": "invalid_email", "row_count": 1, "first_line_number": 3}]
    rejects = api.get(f"{UPLOADS}/{upload_id}/rejects")
    assert rejects.headers["content-type"] == "text/csv; charset=utf-8"
    assert rejects.text.splitlines()[1].startswith("3,invalid_email,")
    listed = api.get(UPLOADS, params={"status": "loaded"}).json()["items"]
    assert [each["id"] for each in listed] == [upload_id]


def test_a_held_upload_is_released_or_discarded(api: Api):
    first = send(api).json()["id"]
    load(api, first)
    assert api.get(f"{UPLOADS}/{first}").json()["status"] == "held"
    assert api.post(f"{UPLOADS}/{first}/release").json()["status"] == "waiting"
    again = api.post(f"{UPLOADS}/{first}/release")
    assert (again.status_code, again.json()["code"]) == (409, "not-held")
    second = send(api, LEADS + b"eve@example.com,Eve\nno,No\n", "more.csv").json()["id"]
    load(api, second)
    assert api.post(f"{UPLOADS}/{second}/discard").json()["status"] == "discarded"


def test_uploads_have_pages(api: Api):
    made = [send(api, LEADS + str(number).encode(), f"{number}.csv").json()["id"] for number in range(5)]
    first = api.get(UPLOADS, params={"limit": 3}).json()
    second = api.get(UPLOADS, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [each["id"] for each in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\leads.csv", "leads.csv"),
        (".hidden.csv", "hidden.csv"),
        ("x" * 300 + ".csv", "x" * 180 + ".csv"),
    ],
)
def test_a_file_name_leads_nowhere_else(api: Api, name, kept):
    assert send(api, name=name).json()["file_name"] == kept
    assert [path.name for path in (api.settings.inbox / "acme").iterdir()] == [kept]


def test_two_files_of_one_name_are_two_uploads(api: Api):
    assert [send(api).json()["file_name"] for _ in range(2)] == ["leads.csv", "leads-2.csv"]


def test_a_repeated_upload_with_a_key_is_one(api: Api):
    key = {"Idempotency-Key": "once"}
    first, again = send(api, headers=key), send(api, headers=key)
    assert first.json() == again.json()
    other = send(api, LEADS + b"eve@example.com,Eve\n", headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len(list((api.settings.inbox / "acme").iterdir())) == 1


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"data": {"encoding": "utf-8"}, "files": {"other": ("x", b"x")}}, 422, "invalid-request"),
        ({"files": {"file": ("x.csv", b"x")}, "data": {"encoding": "klingon"}}, 422, "invalid-request"),
        ({"files": {"file": ("x.csv", b"x")}, "data": {"colour": "red"}}, 422, "invalid-request"),
        ({"files": {"file": ("x.csv", b"x")}, "data": {"mapping": "{"}}, 422, "invalid-request"),
        ({"files": [("file", ("x.csv", b"x")), ("file", ("y.csv", b"y"))]}, 422, "invalid-request"),
        ({"json": {"file": "x"}}, 415, "wrong-media-type"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "unreadable-body"),
        (
            {
                "content": b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\ncut',
                "headers": {"content-type": "multipart/form-data; boundary=b"},
            },
            400,
            "unreadable-body",
        ),
    ],
)
def test_a_form_that_is_wrong_leaves_nothing_behind(api: Api, request_, status, code):
    answer = api.call("POST", UPLOADS, **request_)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    folder = api.settings.inbox / "acme"
    assert not folder.exists() or list(folder.iterdir()) == []
    assert api.connection.execute("select count(*) from lead_uploads").fetchone() == (0,)


def test_an_upload_by_the_api_is_the_sensors_own(api: Api):
    from engage_pipeline.intake.inbox import waiting_uploads

    upload_id = send(api).json()["id"]
    assert [str(each) for each, _ in waiting_uploads(api.connection, api.settings, now=utc_now())] == [upload_id]
