"""E-mail by Resend (POST /emails). Facts: Resend's OpenAPI document and its pages on errors and idempotency keys.

Our reference is the idempotency key. Resend keeps it 24 hours: the same key with the same body gives the first answer
again and sends nothing, with another body it is a 409.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx

from engage_pipeline.channels.answers import Accepted, Answer, Refused, TryLater, Unknown
from engage_pipeline.channels.http import exchange
from engage_pipeline.channels.protocol import Recipient, Request
from engage_pipeline.channels.responses import asks_to_wait, identifier, json_object, put_off, reason_text, text_field
from engage_pipeline.channels.variables import variable_values

# The key lives 24 hours from its first arrival; the hour is for clocks that disagree.
_REPLAY_WINDOW = timedelta(hours=23)


@dataclass(frozen=True)
class ResendEmails:
    """E-mails from `sender`, "name <address>", unless the action names its own. `base_url` has no slash at its end."""

    base_url: str
    sender: str
    action_type: ClassVar[str] = "email"
    look_up_repeats: ClassVar[bool] = True
    reports_outcomes: ClassVar[bool] = False

    def address(self, recipient: Recipient) -> str | None:
        """The e-mail address."""
        return recipient.email

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request:
        """The body of POST /emails: the template with its variables, or `text` where the action carries its own.

        Resend wants a subject even with a template; an action without one gets a neutral line.
        """
        message: Request = {
            "from": action_config.get("from", self.sender),
            "to": [recipient.email],
            "subject": action_config.get("subject", "Thank you for your interest"),
            "tags": [{"name": "action_log_id", "value": reference}],
        }
        if "text" in action_config:
            return {**message, "text": action_config["text"]}
        variables = variable_values(recipient, action_config)
        return {**message, "template": {"id": str(action_config["template_id"]), "variables": variables}}

    async def send(self, client: httpx.AsyncClient, request: Request, *, reference: str) -> Answer:
        """Send the e-mail. A 5xx is Unknown, since Resend may have taken it; a look-up then asks under the same key."""
        headers = {"Idempotency-Key": reference}
        response = await exchange(client, "POST", f"{self.base_url}/emails", body=request, headers=headers)
        if not isinstance(response, httpx.Response):
            return response
        body = json_object(response)
        if response.is_success:
            email_id = identifier(body, "id")
            return Accepted(email_id) if email_id else Unknown("Resend answered without an id")
        reason = reason_text(response, text_field(body, "message"))
        if asks_to_wait(response):
            return put_off(response, reason)
        # A 409 says that a request with this key is on its way or has already been taken.
        if response.is_client_error and response.status_code != 409:
            return Refused(identifier(body, "name") or str(response.status_code), reason)
        return Unknown(f"HTTP {response.status_code}: {reason}")

    async def look_up(
        self, client: httpx.AsyncClient, request: Request, *, reference: str, sent_at: datetime
    ) -> Answer:
        """Send the identical request under the same key: the first answer comes again, or the e-mail goes out now.

        A refusal now is Unknown: it does not say that the first request was refused.
        """
        if datetime.now(UTC) - sent_at > _REPLAY_WINDOW:
            return Unknown("Resend no longer knows the idempotency key")
        match await self.send(client, request, reference=reference):
            case Unknown(reason):
                return TryLater(f"asked again: {reason}")
            case Refused(_, reason):
                return Unknown(f"asked again: {reason}")
            case answer:
                return answer
