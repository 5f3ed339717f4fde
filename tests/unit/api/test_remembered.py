"""Answers that are kept for seconds: given again, worked out once for many, renewed behind whoever asks."""

import threading
import time

import pytest

from engage_pipeline.api import remembered
from engage_pipeline.api.remembered import Remembered


@pytest.fixture
def kept():
    made = Remembered()
    yield made
    made.close()


def test_an_answer_is_given_again_while_it_is_fresh(kept):
    calls = []
    assert [kept.get("key", lambda: calls.append(1) or len(calls)) for _ in range(3)] == [1, 1, 1]
    assert kept.get("other", lambda: "other") == "other"


def test_many_who_ask_at_once_wait_for_one(kept):
    calls = []

    def work() -> int:
        calls.append(1)
        time.sleep(0.1)
        return len(calls)

    answers = []
    askers = [threading.Thread(target=lambda: answers.append(kept.get("key", work))) for _ in range(5)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(5)
    assert answers == [1] * 5


def test_a_stale_answer_is_given_once_more_and_renewed_behind(kept, monkeypatch):
    monkeypatch.setattr(remembered, "_FRESH_SECONDS", 0.0)
    assert kept.get("key", lambda: "old") == "old"
    renewed = threading.Event()

    def work() -> str:
        renewed.set()
        return "new"

    assert kept.get("key", work) == "old"
    assert renewed.wait(5)
    deadline = time.monotonic() + 5
    while kept.get("key", lambda: "new") != "new":
        assert time.monotonic() < deadline


def test_an_answer_that_is_too_old_is_worked_out_before_it_is_given(kept, monkeypatch):
    monkeypatch.setattr(remembered, "_FRESH_SECONDS", -1.0)
    monkeypatch.setattr(remembered, "_STALE_SECONDS", -1.0)
    assert kept.get("key", lambda: "old") == "old"
    assert kept.get("key", lambda: "new") == "new"


def test_a_failure_is_everybodys_and_is_not_kept(kept):
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept.get("key", fails)
    assert kept.get("key", lambda: "well") == "well"


def test_only_so_many_answers_are_kept(kept, monkeypatch):
    monkeypatch.setattr(remembered, "_MOST", 2)
    for key in "abc":
        kept.get(key, lambda: "first")
    assert kept.get("a", lambda: "second") == "second"
    assert kept.get("c", lambda: "second") == "first"
