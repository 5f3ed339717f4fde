"""One program, several threads: what one of them learns of the data must not mislead another."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

from engage_pipeline.matching import lanes, predicates
from engage_pipeline.matching.assign import assign
from engage_pipeline.matching.program import Program
from tests.unit.matching.contacts import columns_of, condition, contact, stored

FLOWS = [
    stored(
        number,
        [
            condition("custom_field", "contains", str(number), "Plan"),
            condition("custom_field", "gte", number, "Seats"),
            condition("lead_source", "equals", f"source {number % 7}"),
        ],
    )
    for number in range(80)
]


def _rows(offset):
    return [
        contact(fields={"Plan": f"plan {offset + number}", "Seats": number % 90}, lead_source=f"Source {number % 9}")
        for number in range(400)
    ]


def test_threads_that_start_cold_together_get_what_one_alone_gets():
    parts = [list(columns_of(_rows(offset), Program(FLOWS))) for offset in (0, 300, 600, 900)]
    expected = [[assign(Program(FLOWS), columns).flows.tolist() for columns in part] for part in parts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            program, together = Program(FLOWS), Barrier(4)

            def work(part, program=program, together=together):
                together.wait()
                return [assign(program, columns).flows.tolist() for columns in part]

            assert list(pool.map(work, parts)) == expected


def test_what_is_forgotten_for_one_thread_is_not_missing_for_another(monkeypatch):
    monkeypatch.setattr(lanes, "_MOST_CLASSES", 3)
    monkeypatch.setattr(lanes, "_REMEMBERED", 5)
    parts = [list(columns_of(_rows(offset), Program(FLOWS))) for offset in (0, 300)]
    expected = [[assign(Program(FLOWS), columns).flows.tolist() for columns in part] for part in parts]
    program, together = Program(FLOWS), Barrier(3)
    asked = [test for node in program.nodes[:5] for test in predicates.tests_in(node)]

    def explain():
        together.wait()
        rows = np.arange(3)
        return [program.answer(test, parts[0][0], rows).tolist() for test in asked for _ in range(5)]

    def work(part):
        together.wait()
        return [[assign(program, columns).flows.tolist() for columns in part] for _ in range(10)]

    with ThreadPoolExecutor(3) as pool:
        explained = pool.submit(explain)
        assert [runs.result() for runs in [pool.submit(work, part) for part in parts]] == [
            [answer] * 10 for answer in expected
        ]
        alone = [program.answer(test, parts[0][0], np.arange(3)).tolist() for test in asked for _ in range(5)]
        assert explained.result() == alone
