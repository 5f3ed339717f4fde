"""WhatsApp template messages by the Cloud API (POST /{version}/{phone_number_id}/messages).

Facts: Meta's OpenAPI document v23.0, its error code page (15 May 2026) and throughput page (21 May 2026). There is no
idempotency key and no way to ask for a message; `biz_opaque_callback_data` brings our reference back in webhooks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from engage_pipeline.channels import whatsapp_errors
from engage_pipeline.channels.account import Account
from engage_pipeline.channels.answers import (
    Accepted,
    AccountTrouble,
    Answer,
    OptOut,
    ProviderOutcome,
    Refused,
    TemplateTrouble,
    Told,
    TryLater,
    Unknown,
)
from engage_pipeline.channels.http import Endpoint
from engage_pipeline.channels.protocol import Client, Recipient, Request, Skip
from engage_pipeline.channels.provider import Provider
from engage_pipeline.channels.responses import asks_to_wait, identifier, json_object, put_off, reason_text, text_field
from engage_pipeline.channels.signatures import is_signed_by_meta
from engage_pipeline.channels.templates import Template
from engage_pipeline.channels.variables import variable_values
from engage_pipeline.channels.webhooks import (
    RawEvent,
    UnreadableWebhook,
    listing,
    mapping,
    parsed,
    raw_event,
    unix_instant,
    uuid_or_none,
    words,
)

_OUTCOMES: Mapping[str, str] = {"sent": "accepted", "delivered": "delivered", "read": "read", "played": "read"}

# What a person writes who wants no more of it, as a whole message; compared without case and punctuation.
_STOP_WORDS = frozenset(
    {"stop", "stop all", "stopall", "unsubscribe", "opt out", "optout", "cancel", "end", "quit", "stop promotions"}
)


@dataclass(frozen=True)
class WhatsAppMessages:
    """Template messages, the only kind that is delivered outside a 24-hour conversation.

    Attributes:
        version: of the Graph API, as it stands in addresses.
        phone_number_id: the sender, unless the action names another.
        templates: the tenant's own; an action that names none of them names one of Meta's.
    """

    endpoint: Endpoint
    version: str = "v23.0"
    phone_number_id: str = "sandbox"
    templates: Mapping[str, Template] = field(default_factory=dict)
    action_type: ClassVar[str] = "whatsapp_message"
    look_up_repeats: ClassVar[bool] = False
    reports_outcomes: ClassVar[bool] = True

    def address(self, recipient: Recipient) -> str | None:
        """The phone number in E.164."""
        return recipient.phone_e164

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request | Skip:
        """The sending number's id, which is part of the address, and the message.

        The action's `template_id` names a template of the tenant, which says which of Meta's templates to use, in which
        language and with which parameters; or one of Meta's itself, whose body takes the action's `variables`.
        """
        template = self._template(recipient, action_config)
        if isinstance(template, Skip):
            return template
        return {
            "phone_number_id": str(action_config.get("phone_number_id", self.phone_number_id)),
            "body": {
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": (recipient.phone_e164 or "").removeprefix("+"),
                "type": "template",
                "biz_opaque_callback_data": reference,
                "template": template,
            },
        }

    def _template(self, recipient: Recipient, action_config: Mapping[str, Any]) -> dict[str, Any] | Skip:
        template_id = str(action_config["template_id"])
        own = self.templates.get(template_id)
        if own is None:
            values = list(variable_values(recipient, action_config).values())
            return _message_template(template_id, action_config.get("language", "en_US"), {"body": values})
        content = own.render(recipient)
        return (
            content if isinstance(content, Skip) else _message_template(content["name"], content["language"], content)
        )

    async def send(self, client: Client, request: Request, *, reference: str) -> Answer:
        """Send the message. The error's code decides, since Meta's HTTP statuses are not dependable."""
        sender = quote(request["phone_number_id"], safe="")
        path = f"/{self.version}/{sender}/messages"
        response = await self.endpoint.exchange(client, "POST", path, body=request["body"])
        if not isinstance(response, httpx.Response):
            return response
        body = json_object(response)
        if response.is_success:
            message_id = _message_id(body)
            return Accepted(message_id) if message_id else Unknown("WhatsApp answered without a message id")
        return _without_acceptance(response, body)

    async def look_up(self, client: Client, request: Request, *, reference: str, sent_at: datetime) -> Answer:
        """Unknown: the Cloud API cannot be asked. A status webhook with our reference settles it."""
        return Unknown("WhatsApp cannot be asked what became of a message")

    async def ask_outcome(
        self, client: Client, request: Request, *, provider_message_id: str
    ) -> ProviderOutcome | TryLater | None:
        """None: the Cloud API cannot be asked."""
        return None

    async def stated_concurrency(self, client: Client) -> int | None:
        """None: there is no such limit."""
        return None

    async def stop(self, client: Client, request: Request, *, provider_message_id: str) -> bool:
        """False: a message is not taken back."""
        return False


@dataclass(frozen=True)
class WhatsAppWebhooks:
    """Meta's webhooks: many statuses and inbound messages in one body, signed with the app's secret."""

    is_signed: ClassVar[bool] = True

    def is_authentic(self, raw: bytes, headers: Mapping[str, str], secret: str, *, now: datetime) -> bool:
        """By `X-Hub-Signature-256`."""
        return is_signed_by_meta(secret, raw, headers.get("x-hub-signature-256", ""))

    def split(self, raw: bytes, headers: Mapping[str, str]) -> Sequence[RawEvent]:
        """One event a status (message and status), an inbound message, and a person's preference."""
        body = mapping(parsed(raw))
        if body.get("object") != "whatsapp_business_account":
            raise UnreadableWebhook("the object is not whatsapp_business_account")
        events = []
        for change in _changes(body):
            value = mapping(change.get("value"))
            for status in map(mapping, listing(value.get("statuses"))):
                events.append(raw_event(f"{status.get('id')}:{status.get('status')}", {"status": status}))
            for message in map(mapping, listing(value.get("messages"))):
                events.append(raw_event(f"in:{message.get('id')}", {"message": message}))
            for wish in map(mapping, listing(value.get("user_preferences"))):
                key = ":".join(str(wish.get(name)) for name in ("wa_id", "category", "value", "timestamp"))
                events.append(raw_event(f"preference:{key}", {"preference": wish}))
        return events

    def read(self, event: Any) -> Sequence[Told]:
        """The outcome of a message, or a person's no: a stop word, the button of one, a preference, or 131050."""
        event = mapping(event)
        if "status" in event:
            return _status(mapping(event["status"]))
        if "message" in event:
            message = mapping(event["message"])
            return _opt_out(message.get("from"), "whatsapp_reply") if _asks_to_stop(message) else []
        wish = mapping(event.get("preference"))
        if wish.get("category") == "marketing_messages" and wish.get("value") == "stop":
            return _opt_out(wish.get("wa_id"), "whatsapp_user_preferences")
        return []


def is_stop_word(text: str) -> bool:
    """Whether a message says nothing but that its sender wants no more."""
    letters = "".join(character if character.isalnum() else " " for character in text.casefold())
    return " ".join(letters.split()) in _STOP_WORDS


def _changes(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for entry in listing(body.get("entry")):
        yield from map(mapping, listing(mapping(entry).get("changes")))


def _status(status: Mapping[str, Any]) -> list[Told]:
    message_id, name = words(status.get("id")), words(status.get("status"))
    if message_id is None or name is None:
        raise UnreadableWebhook("a status has an id and a status")
    errors = [mapping(error) for error in listing(status.get("errors"))]
    codes = [error["code"] for error in errors if isinstance(error.get("code"), int)]
    if name == "failed":
        outcome = "opted_out" if any(whatsapp_errors.kind_of(code) == "suppress" for code in codes) else "failed"
    elif name in _OUTCOMES:
        outcome = _OUTCOMES[name]
    else:
        return []
    reasons = [whatsapp_errors.meaning(code) for code in codes]
    told: list[Told] = [
        ProviderOutcome(
            provider=PROVIDER.name,
            provider_message_id=message_id,
            action_log_id=uuid_or_none(status.get("biz_opaque_callback_data")),
            outcome=outcome,
            occurred_at=unix_instant(status.get("timestamp")),
            detail={
                "provider_status": name,
                **({"codes": codes, "reason": "; ".join(reasons)} if codes else {}),
                **(
                    {"category": category}
                    if (category := words(mapping(status.get("pricing")).get("category")))
                    else {}
                ),
            },
            is_opt_out=outcome == "opted_out",
        )
    ]
    for code in codes:
        if whatsapp_errors.kind_of(code) == "misconfigured":
            return [*told, AccountTrouble(str(code), whatsapp_errors.meaning(code))]
        if whatsapp_errors.kind_of(code) == "misconfigured_template":
            return [*told, TemplateTrouble(str(code), whatsapp_errors.meaning(code))]
    return told


def _asks_to_stop(message: Mapping[str, Any]) -> bool:
    reply = mapping(mapping(message.get("interactive")).get("button_reply"))
    button, text = mapping(message.get("button")), mapping(message.get("text"))
    said = [text.get("body"), button.get("text"), button.get("payload"), reply.get("title"), reply.get("id")]
    return any(isinstance(each, str) and is_stop_word(each) for each in said)


def _opt_out(wa_id: Any, source: str) -> list[Told]:
    if not isinstance(wa_id, str) or not wa_id.isascii() or not wa_id.isdecimal():
        raise UnreadableWebhook("the sender has no number")
    return [OptOut("whatsapp_message", f"+{wa_id}", source)]


def _message_template(name: str, language: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The `template` of a message: header and body parameters, and one component a button with its position."""
    components = [
        {"type": part, "parameters": [_text_parameter(value) for value in content[part]]}
        for part in ("header", "body")
        if content.get(part)
    ]
    components += [
        {
            "type": "button",
            "sub_type": str(button.get("sub_type", "url")),
            "index": str(button.get("index", position)),
            "parameters": [_button_parameter(button, value) for value in button.get("parameters", [])],
        }
        for position, button in enumerate(content.get("buttons", []))
    ]
    return {
        "name": name,
        "language": {"code": language, "policy": "deterministic"},
        **({"components": components} if components else {}),
    }


def _text_parameter(value: Any) -> dict[str, Any]:
    """A text, or `{"name": text}` of a template with named parameters. Meta refuses line breaks and tabs in them."""
    if isinstance(value, Mapping):
        ((name, text),) = value.items()
        return {"type": "text", "parameter_name": str(name), "text": " ".join(str(text).split())}
    return {"type": "text", "text": " ".join(str(value).split())}


def _button_parameter(button: Mapping[str, Any], value: Any) -> dict[str, Any]:
    if button.get("sub_type") == "quick_reply":
        return {"type": "payload", "payload": str(value)}
    return {"type": "text", "text": str(value)}


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
    kind = None if code is None else whatsapp_errors.kind_of(code)
    if code is not None and kind == "misconfigured":
        return TryLater(reason, pauses_account=f"WhatsApp {code}: {whatsapp_errors.meaning(code)}")
    if code is not None and kind == "misconfigured_template":
        return TryLater(reason, stops_template=f"WhatsApp {code}: {whatsapp_errors.meaning(code)}")
    if kind in ("back_off", "retry_later") or asks_to_wait(response):
        # One person's limits say nothing about the account's.
        is_throttled = code not in (131049, 131056)
        later = replace(put_off(response, reason), is_throttled=is_throttled)
        asked = {**whatsapp_errors.BACK_OFF, **whatsapp_errors.RETRY_LATER}.get(code or -1)
        return replace(later, retry_after_seconds=asked) if later.retry_after_seconds is None else later
    if kind == "nobody_knows" or not response.is_client_error:
        return Unknown(f"HTTP {response.status_code}: {reason}")
    if code is None and response.status_code in (401, 403):
        return TryLater(reason, pauses_account=f"WhatsApp answers {response.status_code}")
    name = str(response.status_code if code is None else code)
    return Refused(name, reason, is_opt_out=kind == "suppress")


def _error_words(error: dict[str, Any]) -> str | None:
    """The message and, where Meta gives them, the details that say what it means."""
    data = error.get("error_data")
    details = text_field(data, "details") if isinstance(data, dict) else None
    return ": ".join(filter(None, (text_field(error, "message"), details))) or None


def _open(account: Account) -> WhatsAppMessages:
    return WhatsAppMessages(
        account.endpoint,
        version=str(account.settings.get("version", "v23.0")),
        phone_number_id=str(account.settings.get("phone_number_id", "sandbox")),
        templates=account.templates,
    )


PROVIDER = Provider(
    name="whatsapp",
    action_type="whatsapp_message",
    live_url="https://graph.facebook.com",
    open_channel=_open,
    webhooks=WhatsAppWebhooks(),
    credentials=("api_key", "webhook_secret", "verify_token"),
    settings=("phone_number_id",),
    optional_settings=("version",),
    # Messages a second of one sending number (Meta, "Throughput"); the unique people of a day begin at 250.
    requests_per_second=80,
    daily_cap=250,
)
