"""Which time zones a contact may be in."""

from collections.abc import Sequence

from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX


def contact_zones(known: Sequence[str], phone_e164: str | None) -> tuple[str, ...]:
    """The IANA zones that a contact may be in: those `known`, else those of its number; none when nobody knows."""
    return tuple(known) or phone_zones(phone_e164)


def phone_zones(phone_e164: str | None) -> tuple[str, ...]:
    """The zones that the number may be in: one for most numbers, many for a toll-free one, none without a number.

    It walks the table of `phonenumbers` itself: `time_zones_for_number` parses the number first and takes fifty times
    as long. A test holds the two together.
    """
    if phone_e164 is None:
        return ()
    digits = phone_e164[1:]
    for length in range(min(TIMEZONE_LONGEST_PREFIX, len(digits)), 0, -1):
        zones: tuple[str, ...] | None = TIMEZONE_DATA.get(digits[:length])
        if zones is not None:
            return zones
    return ()
