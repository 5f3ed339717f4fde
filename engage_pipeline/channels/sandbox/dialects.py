"""How each provider speaks: what it demands of a request, and the bodies it answers with. Facts: see the channels."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from uuid import uuid4

from engage_pipeline.channels.sandbox.record import Provider

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_DIGITS = re.compile(r"\+?[1-9]\d{6,14}")
_RETRY_AFTER = {"Retry-After": "2"}


@dataclass(frozen=True)
class Reply:
    """An HTTP answer in the provider's words; None is an empty body."""

    status: int
    body: Mapping[str, Any] | None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Order:
    """What a well-formed request asks for. From `idempotency_key` to `to_number` fields are those of `record.Entry`;
    `sender` and `subject` are an e-mail's, for its webhooks."""

    address: str
    reference: str | None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    agent_id: str | None = None
    to_number: str | None = None
    sender: str = ""
    subject: str = ""


class Dialect(Protocol):
    """One provider's words."""

    @property
    def provider(self) -> Provider:
        """Its name in the record."""
        ...

    def read(self, body: Any, headers: Mapping[str, str]) -> Order | Reply:
        """The order, or the provider's complaint about the request. `body` is None when it was not JSON."""
        ...

    def new_id(self) -> str:
        """An id for what the provider now does."""
        ...

    def accepted(self, order: Order, provider_message_id: str) -> Reply:
        """The answer to an order that was taken."""
        ...

    def refused(self) -> Reply:
        """The answer to an address that the provider will never serve."""
        ...

    def deferred(self) -> Reply:
        """The answer to an order that comes too fast."""
        ...

    def failed(self) -> Reply:
        """The answer of a provider that has broken."""
        ...

    def unauthorised(self, *, is_missing: bool) -> Reply:
        """The answer to a request without a key, or with one that is not accepted."""
        ...


class BolnaDialect:
    """Bolna's POST /call."""

    provider: ClassVar[Provider] = "bolna"

    def read(self, body: Any, headers: Mapping[str, str]) -> Order | Reply:
        """Needs agent_id and an E.164 recipient_phone_number."""
        if not isinstance(body, dict) or not isinstance(body.get("agent_id"), str):
            return Reply(400, {"error": 400, "message": "agent_id is required"})
        to_number = body.get("recipient_phone_number")
        if not isinstance(to_number, str) or not _E164.fullmatch(to_number):
            return Reply(422, {"detail": "recipient_phone_number must be in E.164 format"})
        user_data = body.get("user_data")
        reference = user_data.get("action_log_id") if isinstance(user_data, dict) else None
        return Order(to_number, _text(reference), agent_id=body["agent_id"], to_number=to_number)

    def new_id(self) -> str:
        """An execution_id."""
        return str(uuid4())

    def accepted(self, order: Order, provider_message_id: str) -> Reply:
        """Queued, as Bolna always says."""
        return Reply(200, {"message": "done", "status": "queued", "execution_id": provider_message_id})

    def refused(self) -> Reply:
        """A number it will not call."""
        return Reply(400, {"error": 400, "message": "recipient_phone_number cannot be called"})

    def deferred(self) -> Reply:
        """Past 500 calls a minute."""
        return Reply(429, {"message": "Too many requests"}, _RETRY_AFTER)

    def failed(self) -> Reply:
        """An error without an id."""
        return Reply(500, {"detail": "Internal server error"})

    def unauthorised(self, *, is_missing: bool) -> Reply:
        """401 without a key, 403 with a wrong one."""
        return (
            Reply(401, {"error": 401, "message": "Access denied"})
            if is_missing
            else Reply(403, {"detail": "Unrecognized access token"})
        )


class WhatsAppDialect:
    """WhatsApp's POST /{version}/{phone_number_id}/messages."""

    provider: ClassVar[Provider] = "whatsapp"

    def read(self, body: Any, headers: Mapping[str, str]) -> Order | Reply:
        """Needs messaging_product, to and a template with a name and a language."""
        if not isinstance(body, dict) or body.get("messaging_product") != "whatsapp":
            return self._error(400, 100, "(#100) The parameter messaging_product is required.")
        to = body.get("to")
        if not isinstance(to, str) or not _DIGITS.fullmatch(to):
            return self._error(400, 100, "(#100) The parameter to is required.")
        template = body.get("template")
        if body.get("type") != "template" or not isinstance(template, dict):
            return self._error(400, 131047, "(#131047) Re-engagement message")
        if not template.get("name") or not isinstance(template.get("language"), dict):
            return self._error(400, 132001, "(#132001) Template name does not exist in the translation")
        return Order(to.removeprefix("+"), _text(body.get("biz_opaque_callback_data")))

    def new_id(self) -> str:
        """A message id, which begins with `wamid.`."""
        return f"wamid.{uuid4().hex.upper()}"

    def accepted(self, order: Order, provider_message_id: str) -> Reply:
        """Accepted, which is not yet delivered."""
        return Reply(
            200,
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": order.address, "wa_id": order.address}],
                "messages": [{"id": provider_message_id, "message_status": "accepted"}],
            },
        )

    def refused(self) -> Reply:
        """A number without WhatsApp."""
        return self._error(400, 131026, "(#131026) Message undeliverable", details="Message Undeliverable.")

    def deferred(self) -> Reply:
        """Past the messages a second of the sending number."""
        details = "Message failed to send because there were too many messages sent from this phone number"
        return self._error(429, 130429, "(#130429) Rate limit hit", details=details, headers=_RETRY_AFTER)

    def failed(self) -> Reply:
        """Meta's own "something went wrong"."""
        return self._error(500, 131000, "(#131000) Something went wrong")

    def unauthorised(self, *, is_missing: bool) -> Reply:
        """Code 190 in either case."""
        return self._error(401, 190, "Invalid OAuth access token - Cannot parse access token")

    def _error(
        self, status: int, code: int, message: str, *, details: str = "", headers: Mapping[str, str] | None = None
    ) -> Reply:
        error = {
            "message": message,
            "type": "OAuthException",
            "code": code,
            "error_data": {"messaging_product": "whatsapp", "details": details},
            "fbtrace_id": "sandbox",
        }
        return Reply(status, {"error": error}, headers)


class ResendDialect:
    """Resend's POST /emails."""

    provider: ClassVar[Provider] = "resend"

    def read(self, body: Any, headers: Mapping[str, str]) -> Order | Reply:
        """Needs from, to and subject; an Idempotency-Key has 1 to 256 characters."""
        key = headers.get("idempotency-key")
        if key is not None and not 1 <= len(key) <= 256:
            return self._error(400, "invalid_idempotency_key", "The key must be between 1 and 256 characters.")
        for name in ("from", "to", "subject"):
            if not isinstance(body, dict) or not body.get(name):
                return self._error(422, "missing_required_field", f"Missing `{name}` field.")
        to = body["to"][0] if isinstance(body["to"], list) else body["to"]
        if not isinstance(to, str) or "@" not in to:
            return self._error(422, "validation_error", "Invalid `to` field.")
        canonical = json.dumps(body, sort_keys=True).encode()
        return Order(
            to,
            _tag(body),
            idempotency_key=key,
            fingerprint=hashlib.sha256(canonical).hexdigest(),
            sender=str(body["from"]),
            subject=str(body["subject"]),
        )

    def new_id(self) -> str:
        """An e-mail id."""
        return str(uuid4())

    def accepted(self, order: Order, provider_message_id: str) -> Reply:
        """The id and nothing else."""
        return Reply(200, {"id": provider_message_id})

    def refused(self) -> Reply:
        """An address it will not send to."""
        return self._error(422, "validation_error", "Invalid `to` field. The address cannot receive e-mail.")

    def deferred(self) -> Reply:
        """Past the requests a second of the team."""
        message = "Too many requests. You can only make 5 requests per second."
        return self._error(429, "rate_limit_exceeded", message, _RETRY_AFTER)

    def failed(self) -> Reply:
        """Resend's own "unexpected error"."""
        return self._error(500, "application_error", "An unexpected error occurred.")

    def unauthorised(self, *, is_missing: bool) -> Reply:
        """401 without a key, 403 with a wrong one."""
        if is_missing:
            return self._error(401, "missing_api_key", "Missing API key in the authorization header.")
        return self._error(403, "invalid_api_key", "API key is invalid")

    def other_body(self) -> Reply:
        """The key has already sent another e-mail."""
        return self._error(409, "invalid_idempotent_request", "Same idempotency key used with a different payload.")

    def in_flight(self) -> Reply:
        """The key's first request is not answered yet."""
        return self._error(409, "concurrent_idempotent_requests", "Same idempotency key used while in progress.")

    def _error(self, status: int, name: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
        return Reply(status, {"statusCode": status, "name": name, "message": message}, headers)


class SendGridDialect:
    """SendGrid's POST /v3/mail/send."""

    provider: ClassVar[Provider] = "sendgrid"

    def read(self, body: Any, headers: Mapping[str, str]) -> Order | Reply:
        """Needs one personalization with a recipient, a sender, and a subject with content or a template."""
        personalizations = body.get("personalizations") if isinstance(body, dict) else None
        first = personalizations[0] if isinstance(personalizations, list) and personalizations else None
        if not isinstance(first, dict):
            return self._error(400, "The personalizations field is required and must have at least one entry.")
        to = first.get("to")
        address = to[0].get("email") if isinstance(to, list) and to and isinstance(to[0], dict) else None
        if not isinstance(address, str) or "@" not in address:
            return self._error(400, "The to email does not contain a valid address.")
        if not isinstance(body.get("from"), dict) or "@" not in str(body["from"].get("email")):
            return self._error(400, "The from email does not contain a valid address.")
        if not body.get("template_id") and not (body.get("content") and (body.get("subject") or first.get("subject"))):
            return self._error(400, "Unless a valid template_id is provided, the content parameter is required.")
        custom = first.get("custom_args") or body.get("custom_args")
        return Order(address, _text(custom.get("action_log_id")) if isinstance(custom, dict) else None)

    def new_id(self) -> str:
        """A message id, without the part that a server appends in events."""
        return uuid4().hex

    def accepted(self, order: Order, provider_message_id: str) -> Reply:
        """202 without a body."""
        return Reply(202, None, {"X-Message-Id": provider_message_id})

    def refused(self) -> Reply:
        """An address it will not send to."""
        return self._error(400, "The to email does not contain a valid address.")

    def deferred(self) -> Reply:
        """Past its rate."""
        return self._error(429, "too many requests", _RETRY_AFTER)

    def failed(self) -> Reply:
        """SendGrid's own error."""
        return self._error(500, "Internal server error")

    def unauthorised(self, *, is_missing: bool) -> Reply:
        """401 in either case."""
        return self._error(401, "The provided authorization grant is invalid, expired, or revoked")

    def _error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
        return Reply(status, {"errors": [{"message": message, "field": None, "help": None}]}, headers)


def _tag(body: Mapping[str, Any]) -> str | None:
    tags = body.get("tags")
    for tag in tags if isinstance(tags, list) else []:
        if isinstance(tag, dict) and tag.get("name") == "action_log_id":
            return _text(tag.get("value"))
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
