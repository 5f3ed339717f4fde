"""Takes phone numbers and e-mail addresses out of text that will be stored where no login guards it.

Dagster's event log is permanent and its web server has no authentication, so whatever reaches them passes here first.
"""

import re

_EMAIL = re.compile(r"[^\s@<>\"'(),;:=]+@[^\s@<>\"'(),;:=]+")
# Seven digits or more, however they are grouped; the look-behind leaves UUIDs and other identifiers alone.
_PHONE = re.compile(r"(?<![\w-])\+?\(?\d(?:[\s().-]{0,2}\d){6,14}(?![\w-])")


def mask_personal(text: str) -> str:
    """`text` with every e-mail address and every run of digits long enough to be a phone number blotted out."""
    return _PHONE.sub("[phone]", _EMAIL.sub("[email]", text))
