"""Nothing personal reaches Dagster, whose event log is permanent and whose web server has no login.

A person is planted in lead files; then everything that Dagster stored and everything that was printed is searched.
"""

import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from psycopg import sql

from engage_pipeline.database.errors import NoTenant
from engage_pipeline.definitions import defs
from engage_pipeline.resources import EngineFailed, nothing_personal
from tests.integration.ledger_world import CHANNELS, flow_of

HEADER = "First Name,Last Name,Company,Phone,Email,Lead Source,Birthday,Tags\n"
PERSON = "Zebulon,Quackenbush,Wobblegong Ltd,(202) 555-0143,zebulon.q@example.com,Web,1987-03-04,VIP\n"
REJECTED = "Zebulon,Quackenbush,Wobblegong Ltd,call me maybe zebulon,not-an-address-zebulon,Web,1987-03-04,VIP\n"
PLANTED = ("zebulon", "quackenbush", "wobblegong", "2025550143", "555-0143", "1987-03-04")

FLOW = flow_of(*CHANNELS, "wait", name="Welcome")


def assert_nothing_personal_in(house, capfd):
    """Every row of every table of Dagster's schema as text, every file below its home, and what was printed."""
    found = []
    tables = house.world.connection.execute(
        "select table_name from information_schema.tables where table_schema = 'dagster'"
    ).fetchall()
    rows = 0
    for (table,) in tables:
        whole = sql.SQL("select rows::text from dagster.{} as rows").format(sql.Identifier(table))
        for (text,) in house.world.connection.execute(whole).fetchall():
            rows += 1
            found += [(table, word, text[:3000]) for word in PLANTED if word in text.lower()]
    files = [path for path in house.dagster_home.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes().lower()
        found += [(path.name, word, content[:3000]) for word in PLANTED if word.encode() in content]
    printed = "".join(capfd.readouterr()).lower()
    found += [("printed", word, printed[:3000]) for word in PLANTED if word in printed]
    assert found == []
    assert rows > 20, "there was something to search"


def test_a_whole_run_leaves_nothing_personal_behind(house, capfd):
    house.world.apply(FLOW)
    others = "".join(f",,,,p{number}@example.com,Web,,\n" for number in range(4))
    house.upload(HEADER + PERSON + REJECTED + PERSON + others)
    house.world.sandbox.behave(faults={1: "refuses", 2: "accepts then drops the line", 3: "defers"})
    results = house.settle()
    assert len(results) == 2 and all(result.success for result in results)
    assert defs.resolve_job_def("refresh_warehouse").execute_in_process(instance=house.instance).success
    assert_nothing_personal_in(house, capfd)


@pytest.mark.parametrize(
    "content",
    [
        PERSON * 5,
        HEADER.replace(",", ";") + PERSON,
        HEADER.replace("\n", "\r") + PERSON.replace("\n", "\r"),
        f'Notes\n"{PERSON}',
        HEADER.replace("Birthday", "Zebulon Quackenbush (202) 555-0143") + PERSON,
    ],
    ids=["without a header", "two separators", "CR alone", "open quote", "a person in the header"],
)
def test_a_file_that_cannot_be_read_leaves_nothing_personal_behind(house, capfd, content):
    house.world.apply(FLOW)
    house.upload(content)
    house.settle("lead_uploads")
    assert_nothing_personal_in(house, capfd)


FAULTS = {
    "a row that a check constraint quotes": (
        "alter table contacts add constraint planted check (first_name <> 'Zebulon')",
        "lead_uploads",
    ),
    "a value that a cast quotes": (
        "create function planted() returns trigger language plpgsql as"
        " $$ begin perform new.last_name::integer; return new; end $$;"
        "create trigger planted before insert on contacts for each row execute function planted()",
        "lead_uploads",
    ),
    "a message that a trigger wrote": (
        "create function planted() returns trigger language plpgsql as"
        " $$ begin raise exception 'cannot keep % %', new.first_name, new.phone_e164; end $$;"
        "create trigger planted before insert on contacts for each row execute function planted()",
        "lead_uploads",
    ),
    "a request that a check constraint quotes": (
        "alter table flow_action_logs add constraint planted check (request is null)",
        "new_contacts",
    ),
}


@pytest.mark.parametrize(("statement", "failing"), FAULTS.values(), ids=FAULTS)
def test_a_database_error_that_quotes_a_row_leaves_nothing_personal_behind(house, capfd, statement, failing):
    house.world.apply(FLOW)
    house.world.connection.execute(statement)
    house.upload(HEADER + PERSON)
    failed = []
    for sensor in ("lead_uploads", "new_contacts"):
        for request in house.tick(sensor):
            if not house.run(sensor, request).success:
                failed.append(sensor)
    assert failed == [failing]
    assert_nothing_personal_in(house, capfd)


def test_an_error_of_a_sensor_is_as_discreet_as_that_of_a_run(house):
    house.world.apply(FLOW)
    house.upload(HEADER + PERSON, name="Zebulon 2025550143.csv")
    house.world.connection.execute("alter table lead_uploads add constraint planted check (file_name = '')")
    with pytest.raises(EngineFailed) as failure:
        house.tick("lead_uploads")
    stored = str(serializable_error_info_from_exc_info((failure.type, failure.value, failure.tb))).lower()
    assert "checkviolation" in stored
    assert [word for word in PLANTED if word in stored] == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Zebulon"),
        KeyError("Zebulon Quackenbush"),
        Exception("2025550143"),
        ExceptionGroup("zebulon", [OSError()]),
    ],
)
def test_of_a_foreign_exception_only_its_type_and_our_own_place_remain(error):
    with pytest.raises(EngineFailed) as failure, nothing_personal():
        raise error
    text = str(failure.value)
    assert text.startswith(f"{type(error).__name__} at ")
    assert [word for word in PLANTED if word in text.lower()] == []
    assert failure.value.__suppress_context__


def test_an_error_of_our_own_keeps_its_words_without_addresses():
    with pytest.raises(EngineFailed, match=r"there is no tenant '\[email\]'.*engage flows apply"), nothing_personal():
        raise NoTenant("zebulon.q@example.com", known=[])
