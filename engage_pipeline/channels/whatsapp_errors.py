"""Meta's error codes, sorted by what they ask of us. Facts: Meta's error code page (15 May 2026) and pywa's list.

The sorting is a reading: Meta says what happened, not what to do.
"""

from collections.abc import Mapping
from typing import Literal

Kind = Literal[
    "back_off",
    "retry_later",
    "give_up",
    "suppress",
    "misconfigured",
    "misconfigured_template",
    "nobody_knows",
]

BACK_OFF: Mapping[int, float | None] = {
    4: None,  # the app's call limit
    80007: None,  # the business account's rate limit
    130429: None,  # messages a second of the sending number
    131056: 6.0,  # one message in six seconds to one person
    132069: None,  # a template's own limit
}
"""Too fast; nothing was sent. With the seconds that Meta's pages ask for where they name a number."""

RETRY_LATER: Mapping[int, float | None] = {
    131048: 3_600.0,  # spam limit of the sending number
    131049: 86_400.0,  # how much marketing one person gets: at least 24 hours
    131057: 900.0,  # account in maintenance
}
"""Not now, and not for a good while; nothing was sent."""

SUPPRESS: Mapping[int, str] = {131050: "the person stopped marketing messages"}
"""The person said no to the channel."""

NOBODY_KNOWS = frozenset({1, 2, 131000, 131016, 135000})
"""Meta itself does not know what happened; a 4xx status makes them no safer to send again."""

MISCONFIGURED: Mapping[int, str] = {
    0: "the access token is not accepted",
    3: "the app lacks a capability or permission",
    10: "the app lacks a permission",
    33: "the sending number was deleted",
    190: "the access token has expired",
    368: "the account is blocked for a violation of policy",
    131005: "the access token lacks a permission",
    131031: "the account is locked",
    131037: "the display name of the sending number is not approved",
    131042: "the account has a problem with its payment method",
    131045: "the sending number is not registered",
    131063: "marketing is disabled for the Cloud API",
    131064: "the limit of template violations is reached",
    133010: "the sending number is not registered",
    133016: "too many registrations of the sending number",
}
"""What a person must mend before anything can be sent; codes 200 to 299 too."""

MISCONFIGURED_TEMPLATE: Mapping[int, str] = {
    132000: "the number of parameters differs from the template's",
    132001: "the template does not exist in this language, or is not approved",
    132007: "the template violates a policy",
    132015: "the template is paused for its quality",
    132016: "the template is disabled for its quality",
    132068: "the template's flow is blocked",
}
"""What a person must mend before one template can be sent to anybody; the account's other templates are sound. 132000
is one of them, since what a template takes is the same for every contact."""

GIVE_UP: Mapping[int, str] = {
    100: "a parameter is invalid",
    130472: "the person is in an experiment of Meta's",
    130497: "the business may not message people of that country",
    131008: "a parameter is missing",
    131009: "a parameter's value is invalid",
    131021: "sender and recipient are one number",
    131026: "the message cannot be delivered to this number",
    131030: "the number is not on the test number's list",
    131047: "more than 24 hours since the person wrote; only a template can be sent",
    131051: "the type of message is not supported",
    131052: "the media could not be fetched",
    131053: "the media could not be uploaded",
    131062: "the recipient's id is not supported",
    132005: "the text is too long once translated",
    132008: "a parameter's value does not fit the template",
    132012: "a parameter's form does not fit the template",
    137000: "the person's number changed hands",
}
"""This message will never be taken."""


def kind_of(code: int) -> Kind | None:
    """What the code asks of us; None for one that Meta's pages did not list."""
    if code in MISCONFIGURED or 200 <= code <= 299:
        return "misconfigured"
    if code in MISCONFIGURED_TEMPLATE:
        return "misconfigured_template"
    if code in BACK_OFF:
        return "back_off"
    if code in RETRY_LATER:
        return "retry_later"
    if code in SUPPRESS:
        return "suppress"
    if code in NOBODY_KNOWS:
        return "nobody_knows"
    return "give_up" if code in GIVE_UP else None


def meaning(code: int) -> str:
    """The code in words, without the provider's own."""
    known = MISCONFIGURED.get(code) or MISCONFIGURED_TEMPLATE.get(code) or GIVE_UP.get(code) or SUPPRESS.get(code)
    return known or ("the app lacks a permission" if 200 <= code <= 299 else f"WhatsApp's error {code}")
