"""WhatsApp template messages by the Cloud API (POST /{version}/{phone_number_id}/messages).

Facts: Meta's OpenAPI document v23.0, its error code page (15 May 2026) and throughput page (21 May 2026). There is no
idempotency key and no way to ask for a message; `biz_opaque_callback_data` brings our reference back in webhooks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from engage_pipeline.channels.answers import Accepted, Answer, Refused, Unknown
from engage_pipeline.channels.http import exchange
from engage_pipeline.channels.protocol import Recipient, Request
from engage_pipeline.channels.responses import asks_to_wait, identifier, json_object, put_off, reason_text, text_field
from engage_pipeline.channels.variables import variable_values

# Codes that say "not now, nothing was sent", with the seconds Meta's pages ask for where they name a number.
_NOT_NOW: Mapping[int, float | None] = {
    4: None,  # the app's call limit
    80007: None,  # the business account's rate limit
    130429: None,  # messages a second of the sending number
    131048: None,  # spam limit of the sending number
    131049: 86_400.0,  # how much marketing one person gets: at least 24 hours
    131056: 6.0,  # one message in six seconds to one person
    131057: None,  # account in maintenance
    132069: None,  # a template's own limit
}

# Codes by which Meta itself does not know what happened; a 4xx status makes them no safer to send again.
_NOBODY_KNOWS = frozenset({1, 2, 131000, 131016, 135000})


@dataclass(frozen=True)
class WhatsAppMessages:
    """Template messages, the only kind that is delivered outside a 24-hour conversation. `base_url` has no slash at
    its end."""

    base_url: str
    version: str = "v23.0"
    action_type: ClassVar[str] = "whatsapp_message"
    look_up_repeats: ClassVar[bool] = False
    reports_outcomes: ClassVar[bool] = False

    def address(self, recipient: Recipient) -> str | None:
        """The phone number in E.164."""
        return recipient.phone_e164

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request:
        """The sending number's id, which is part of the address, and the message. `language` is en_US unless set."""
        template: dict[str, Any] = {
            "name": str(action_config["template_id"]),
            "language": {"code": action_config.get("language", "en_US"), "policy": "deterministic"},
        }
        values = variable_values(recipient, action_config).values()
        if values:
            parameters = [{"type": "text", "text": value} for value in values]
            template["components"] = [{"type": "body", "parameters": parameters}]
        return {
            "phone_number_id": str(action_config.get("phone_number_id", "sandbox")),
            "body": {
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": (recipient.phone_e164 or "").removeprefix("+"),
                "type": "template",
                "biz_opaque_callback_data": reference,
                "template": template,
            },
        }

    async def send(self, client: httpx.AsyncClient, request: Request, *, reference: str) -> Answer:
        """Send the message. The error's code decides, since Meta's HTTP statuses are not dependable."""
        sender = quote(request["phone_number_id"], safe="")
        url = f"{self.base_url}/{self.version}/{sender}/messages"
        response = await exchange(client, "POST", url, body=request["body"])
        if not isinstance(response, httpx.Response):
            return response
        body = json_object(response)
        if response.is_success:
            message_id = _message_id(body)
            return Accepted(message_id) if message_id else Unknown("WhatsApp answered without a message id")
        return _without_acceptance(response, body)

    async def look_up(
        self, client: httpx.AsyncClient, request: Request, *, reference: str, sent_at: datetime
    ) -> Answer:
        """Unknown: the Cloud API cannot be asked. A status webhook with our reference settles it."""
        return Unknown("WhatsApp cannot be asked what became of a message")


def _message_id(body: dict[str, Any]) -> str | None:
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[0], dict):
        return identifier(messages[0], "id")
    return None


def _without_acceptance(response: httpx.Response, body: dict[str, Any]) -> Answer:
    error = body.get("error")
    error = error if isinstance(error, dict) else {}
    code = error.get("code")
    code = code if isinstance(code, int) else None
    reason = reason_text(response, _error_words(error))
    if code in _NOT_NOW or asks_to_wait(response):
        later = put_off(response, reason)
        if later.retry_after_seconds is None and code is not None:
            return replace(later, retry_after_seconds=_NOT_NOW.get(code))
        return later
    if response.is_client_error and code not in _NOBODY_KNOWS:
        return Refused(str(response.status_code if code is None else code), reason)
    return Unknown(f"HTTP {response.status_code}: {reason}")


def _error_words(error: dict[str, Any]) -> str | None:
    """The message and, where Meta gives them, the details that say what it means."""
    data = error.get("error_data")
    details = text_field(data, "details") if isinstance(data, dict) else None
    return ": ".join(filter(None, (text_field(error, "message"), details))) or None
