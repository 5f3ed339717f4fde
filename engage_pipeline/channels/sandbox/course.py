"""What becomes of an accepted request, drawn from the seed: the statuses that follow, and when.

A course is the same however often it is asked for, so that webhooks, polls and a restarted sandbox tell one story.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from engage_pipeline.channels.sandbox.behaviour import Behaviour
from engage_pipeline.channels.sandbox.record import Provider

_EMAIL_ENDINGS = frozenset({"delivered", "opened", "bounced", "complained", "failed"})

ENDINGS: Mapping[Provider, frozenset[str]] = {
    "bolna": frozenset({"completed", "busy", "no-answer", "failed", "canceled", "error", "stopped", "balance-low"}),
    "whatsapp": frozenset({"sent", "delivered", "read", "failed"}),
    "resend": _EMAIL_ENDINGS,
    "sendgrid": _EMAIL_ENDINGS,
}
"""The last statuses that a request may ask for."""

_CALL_ENDINGS = ("no-answer", "busy", "failed")


@dataclass(frozen=True)
class Stage:
    """One status in the provider's word, so many seconds after the request was taken."""

    after_seconds: float
    status: str


@dataclass(frozen=True)
class Course:
    """What follows on one request, in order.

    Attributes:
        conversation_seconds: of a call that somebody answered, else 0.
        is_voicemail: a machine answered the call.
        has_opted_out: the person stops messages instead of receiving this one.
    """

    stages: Sequence[Stage]
    conversation_seconds: float = 0.0
    is_voicemail: bool = False
    has_opted_out: bool = False

    def status_at(self, age_seconds: float) -> str:
        """The last status by then."""
        past = [stage.status for stage in self.stages if stage.after_seconds <= age_seconds]
        return past[-1] if past else "queued"


def course_of(
    behaviour: Behaviour, provider: Provider, address_key: str, ordinal: int, *, at: datetime, forced: str | None
) -> Course:
    """What becomes of the address's `ordinal`-th request, taken at `at`.

    Args:
        forced: the last status, in the provider's word, that the request itself asked for.
    """
    drawn = _Draws(f"{behaviour.seed}|{provider}|{address_key}|{ordinal}")
    pace = behaviour.outcome_seconds
    if provider == "bolna":
        return _call(behaviour, drawn, pace, at, forced)
    if provider == "whatsapp":
        return _message(behaviour, drawn, pace, at, forced)
    return _email(behaviour, drawn, pace, at, forced)


class _Draws:
    """Numbers from 0 to 1, as many as are asked for, always the same for one text."""

    def __init__(self, text: str) -> None:
        self._text, self._count = text, 0

    def __call__(self) -> float:
        self._count += 1
        digest = hashlib.sha256(f"{self._text}|{self._count}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64


def _call(behaviour: Behaviour, drawn: _Draws, pace: float, at: datetime, forced: str | None) -> Course:
    answer, ending, length = drawn(), drawn(), drawn()
    answered = answer < behaviour.by_hour(behaviour.answered_by_hour, at, behaviour.answered_share)
    voicemail = not answered and ending < behaviour.voicemail_share
    last = forced or ("completed" if answered or voicemail else _CALL_ENDINGS[int(drawn() * 2.2)])
    answered, voicemail = answered or forced == "completed", voicemail and forced in (None, "completed")
    stages = [Stage(0.0, "queued"), Stage(0.2 * pace, "initiated"), Stage(0.4 * pace, "ringing")]
    if last == "completed":
        stages += [Stage(0.6 * pace, "in-progress"), Stage(0.9 * pace, "call-disconnected")]
    stages.append(Stage(pace, last))
    seconds = round(8 + 172 * length, 1) if last == "completed" and not voicemail else 0.0
    return Course(stages, conversation_seconds=seconds, is_voicemail=last == "completed" and voicemail)


def _message(behaviour: Behaviour, drawn: _Draws, pace: float, at: datetime, forced: str | None) -> Course:
    opted_out = drawn() < behaviour.opt_out_share
    delivered = drawn() < behaviour.by_hour(behaviour.delivered_by_hour, at, behaviour.delivered_share)
    read = drawn() < behaviour.read_share
    last = forced or ("failed" if opted_out or not delivered else "read" if read else "delivered")
    stages = [Stage(0.2 * pace, "sent")]
    if last in ("delivered", "read"):
        stages.append(Stage(0.6 * pace, "delivered"))
    if last in ("failed", "read"):
        stages.append(Stage(pace, last))
    return Course(stages, has_opted_out=last == "failed" and opted_out)


def _email(behaviour: Behaviour, drawn: _Draws, pace: float, at: datetime, forced: str | None) -> Course:
    bounced, opened = drawn() < behaviour.bounced_share, drawn() < behaviour.opened_share
    complained = drawn() < behaviour.complained_share
    last = forced or ("bounced" if bounced else "complained" if complained else "opened" if opened else "delivered")
    stages = [Stage(0.2 * pace, "sent")]
    if last in ("delivered", "opened", "complained"):
        stages.append(Stage(0.6 * pace, "delivered"))
    if last != "delivered":
        stages.append(Stage(pace, last))
    return Course(stages)


def outcome_of_test_address(address: str) -> str | None:
    """Resend's own addresses for tests: delivered@resend.dev and the like."""
    name, _, domain = address.partition("@")
    name = name.partition("+")[0]
    return name if domain == "resend.dev" and name in ("delivered", "bounced", "complained") else None
