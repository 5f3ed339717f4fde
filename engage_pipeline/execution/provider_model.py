"""What providers would answer, drawn from a seed: the sandbox's own rules, without its server.

An address meets the same as it would at the sandbox with this behaviour; only faults of single requests, storms and
limits are left out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engage_pipeline.channels.registry import SANDBOX_PROVIDERS
from engage_pipeline.channels.sandbox.behaviour import Behaviour
from engage_pipeline.channels.sandbox.course import Course, course_of
from engage_pipeline.channels.sandbox.record import Provider, address_key

COST_CENTS: Mapping[str, float] = {"ai_call": 2.0, "whatsapp_message": 2.5, "email": 0.04}
"""Cents of US dollars for one accepted action, before talking: estimates, which an account's contract replaces."""

CALL_CENTS_A_SECOND = 0.12

_DEFERRED_SECONDS = 2.0  # the sandbox's Retry-After

_OUTCOMES: Mapping[str, Mapping[str, str]] = {
    "ai_call": {"completed": "answered", "no-answer": "no_answer", "busy": "busy", "failed": "failed"},
    "whatsapp_message": {"delivered": "delivered", "read": "read", "failed": "failed"},
    "email": {"delivered": "delivered", "opened": "opened", "bounced": "bounced", "complained": "complained"},
}


@dataclass(frozen=True)
class Prospect:
    """What becomes of one request.

    Attributes:
        begins_at: when the provider takes or refuses it, after it may have been put off once.
        is_refused: nothing follows.
        outcomes: what the provider tells later and when, in order.
    """

    begins_at: datetime
    is_refused: bool = False
    outcomes: tuple[tuple[datetime, str], ...] = ()
    cost_cents: float = 0.0


@dataclass
class ProviderModel:
    """The providers of one simulation; it remembers how often it was asked for an address."""

    behaviour: Behaviour
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def send(self, channel: str, address: str, *, at: datetime) -> Prospect:
        """One request on the channel at that moment."""
        address = address.removeprefix("+") if channel == "whatsapp_message" else address  # as it travels
        conduct = self.behaviour.conduct(address)
        if conduct.is_refused:
            return Prospect(at, is_refused=True)
        # By action at the sandbox too: each one to such an address is put off once.
        begins_at = at + timedelta(seconds=_DEFERRED_SECONDS) if conduct.is_deferred_once else at
        key = address_key(address)
        ordinal = self.asked[channel, key] = self.asked[channel, key] + 1
        provider: Provider = SANDBOX_PROVIDERS[channel]  # type: ignore[assignment]
        course = course_of(self.behaviour, provider, key, ordinal, at=begins_at, forced=None)
        return Prospect(
            begins_at,
            outcomes=_outcomes(channel, course, begins_at),
            cost_cents=COST_CENTS[channel] + CALL_CENTS_A_SECOND * course.conversation_seconds,
        )


def _outcomes(channel: str, course: Course, begins_at: datetime) -> tuple[tuple[datetime, str], ...]:
    words = _OUTCOMES[channel]
    told = []
    for stage in course.stages:
        outcome = words.get(stage.status)
        if outcome == "answered" and course.is_voicemail:
            outcome = "voicemail"
        if outcome == "failed" and course.has_opted_out:
            outcome = "opted_out"
        if outcome is not None:
            told.append((begins_at + timedelta(seconds=stage.after_seconds), outcome))
    return tuple(told)
