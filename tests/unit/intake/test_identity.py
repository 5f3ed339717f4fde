"""Who a row is, against a slow reading of the same rules."""

from collections.abc import Sequence
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from engage_pipeline.intake import identity
from tests.unit.intake.rowwise import Lead, Person, resolve

IDS = st.sampled_from([None, "1", "2", "3"])
PHONES = st.sampled_from([None, "+12125550101", "+12125550102", "+12125550103"])
EMAILS = st.sampled_from([None, "ada@example.com", "bea@example.com", "cy@example.com"])
KEYS = st.tuples(IDS, PHONES, EMAILS).filter(any)
Keys = tuple[str | None, str | None, str | None]


def lead(line: int, keys: Keys) -> Lead:
    return Lead(line, *keys, None, None, None, None, (), {}, (), ())


def known_person(number: int, keys: Keys) -> Person:
    return Person(UUID(int=number), "crm" if keys[0] else None, *keys, None, None, None, None, [], {}, [])


def read_one_by_one(rows: Sequence[Keys], known: Sequence[Keys]) -> tuple[list[int], list[int], list[Keys]]:
    """Person number of each row, rows in conflict, and the keys of each person in the end; known persons first."""
    persons: list[list[str | None]] = []
    filings: list[tuple[int, str, int]] = []

    def file(person: int, keys: Sequence[str | None]) -> None:
        filings.extend((place, key, person) for place, key in enumerate(keys) if key)

    def meant(place: int, row: Keys) -> int | None:
        holders = [person for kind, key, person in filings if (kind, key) == (place, row[place])]
        if place and row[0]:
            holders = [person for person in holders if persons[person][0] is None]
        return holders[0] if holders else None

    for keys in known:
        persons.append(list(keys))
        file(len(persons) - 1, keys)
    who, conflicts = [], []
    for number, row in enumerate(rows):
        found = [meant(place, row) for place in range(3)]
        person = next((each for each in found if each is not None), None)
        if person is None:
            persons.append([None, None, None])
            person = len(persons) - 1
        taken = list(row)
        for place in (1, 2):
            if found[place] not in (None, person) and persons[person][place] != row[place]:
                taken[place] = None
        if taken != list(row):
            conflicts.append(number)
        persons[person] = [new or old for new, old in zip(taken, persons[person], strict=True)]
        file(person, taken)
        who.append(person)
    return who, conflicts, [(each[0], each[1], each[2]) for each in persons]


def distinct_ids(known: list[Keys]) -> bool:
    ids = [keys[0] for keys in known if keys[0]]
    return len(ids) == len(set(ids))


@given(rows=st.lists(KEYS, max_size=12), known=st.lists(KEYS, max_size=4).filter(distinct_ids))
def test_resolving_agrees_with_reading_the_rows_one_by_one(rows: list[Keys], known: list[Keys]) -> None:
    people = [known_person(number, keys) for number, keys in enumerate(known)]
    resolution = resolve([lead(number, keys) for number, keys in enumerate(rows)], people, source_system="crm")
    everybody = people + resolution.inserted
    who, conflicts, keys = read_one_by_one(rows, known)
    assert [everybody.index(person) for person in resolution.persons] == who
    assert resolution.conflict_lines == conflicts
    assert [(person.external_id, person.phone_e164, person.email) for person in everybody] == keys


@given(rows=st.lists(KEYS, max_size=12), known=st.lists(KEYS, max_size=4).filter(distinct_ids))
def test_the_keys_alone_say_who_a_row_is(rows: list[Keys], known: list[Keys]) -> None:
    people = [known_person(number, keys) for number, keys in enumerate(known)]
    resolution = resolve([lead(number, keys) for number, keys in enumerate(rows)], people, source_system="crm")
    everybody = people + resolution.inserted
    found = list(
        identity.resolve(
            [identity.KeyRow(number, UUID(int=1000 + number), *keys) for number, keys in enumerate(rows)],
            [identity.KnownContact(UUID(int=number), *keys) for number, keys in enumerate(known)],
        )
    )
    places = {each.person_id: None for each in [*map(known_person_row, range(len(known))), *found]}
    numbers = {person_id: number for number, person_id in enumerate(places)}
    assert [numbers[each.person_id] for each in found] == [everybody.index(each) for each in resolution.persons]
    conflicts = [each.line_number for each in found if each.phone_is_of_other or each.email_is_of_other]
    assert conflicts == resolution.conflict_lines
    assert [each.is_known for each in found] == [person in people for person in resolution.persons]


def known_person_row(number: int) -> identity.RowPerson:
    return identity.RowPerson(0, UUID(int=number), True, False, False)


def test_a_row_with_an_id_may_share_the_phone_of_another_id() -> None:
    rows = [("1", "+12125550101", None), ("2", None, "bea@example.com"), ("2", "+12125550101", None)]
    resolution = resolve([lead(number, keys) for number, keys in enumerate(rows)], [], source_system="crm")
    assert [person.phone_e164 for person in resolution.inserted] == ["+12125550101", "+12125550101"]
    assert resolution.conflict_lines == []


def test_an_address_of_somebody_else_is_kept_as_a_custom_field() -> None:
    rows = [("1", None, None), (None, "+12125550101", None), ("1", "+12125550101", None)]
    resolution = resolve(
        [lead(number, keys) for number, keys in enumerate(rows)],
        [],
        source_system="crm",
        headers={"phone_e164": "Mobile"},
    )
    assert [(person.phone_e164, person.custom_fields) for person in resolution.inserted] == [
        (None, {"Mobile": "+12125550101"}),
        ("+12125550101", {}),
    ]
