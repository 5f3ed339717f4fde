"""Texts that a regular expression probably matches, to be tried; whether they do is asked of the engine."""

import re
import re._constants as codes  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import warnings
from functools import lru_cache
from random import Random
from typing import Any

_MOST_SAMPLES = 12
_LETTERS = "ax7 -_.@éZ"
_CATEGORIES = {
    codes.CATEGORY_DIGIT: "7",
    codes.CATEGORY_NOT_DIGIT: "x",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_NOT_SPACE: "x",
    codes.CATEGORY_WORD: "x",
    codes.CATEGORY_NOT_WORD: "-",
}


@lru_cache(maxsize=1_000)
def samples(pattern: str) -> tuple[str, ...]:
    """A few texts; none where the pattern's syntax is not also Python's, which takes most of RE2."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            parsed = parser.parse(pattern)
    except (re.error, ValueError, OverflowError, RecursionError):
        return ()
    random = Random(pattern)  # noqa: S311 - the same pattern gives the same texts
    found = dict.fromkeys(_written(parsed, random) for _ in range(4 * _MOST_SAMPLES))
    return tuple(sorted(found, key=len)[:_MOST_SAMPLES])


def _written(parsed: Any, random: Random) -> str:
    return "".join(_one(code, argument, random) for code, argument in parsed)


def _one(code: Any, argument: Any, random: Random) -> str:
    if code is codes.LITERAL:
        return chr(argument)
    if code is codes.ANY:
        return random.choice(_LETTERS[:3])
    if code is codes.NOT_LITERAL:
        return next(letter for letter in _LETTERS if ord(letter) != argument)
    if code is codes.IN:
        return _member(argument, random)
    if code is codes.BRANCH:
        return _written(random.choice(argument[1]), random)
    if code is codes.SUBPATTERN:
        return _written(argument[3], random)
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        least, most, inner = argument
        return "".join(_written(inner, random) for _ in range(min(least + random.randrange(3), int(most), least + 2)))
    return ""  # anchors and what else takes no room


def _member(members: Any, random: Random) -> str:
    is_negated = members[0][0] is codes.NEGATE
    if is_negated:
        return random.choice([letter for letter in _LETTERS if not _is_in(letter, members[1:])] or ["x"])
    code, argument = random.choice(members)
    if code is codes.LITERAL:
        return chr(argument)
    if code is codes.RANGE:
        return chr(random.choice([argument[0], argument[1]]))
    return _CATEGORIES.get(argument, "x")


def _is_in(letter: str, members: Any) -> bool:
    for code, argument in members:
        if code is codes.LITERAL and ord(letter) == argument:
            return True
        if code is codes.RANGE and argument[0] <= ord(letter) <= argument[1]:
            return True
        if code is codes.CATEGORY and letter in {"7"} and argument is codes.CATEGORY_DIGIT:
            return True
    return False
