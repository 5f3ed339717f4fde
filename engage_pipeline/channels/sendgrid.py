"""E-mails by SendGrid (POST /v3/mail/send). Facts: SendGrid's OpenAPI document (2024) and its Python library's tests.

There is no idempotency key, so a request whose answer was lost is never repeated; its events settle it, since
`custom_args` carry our reference into them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any, ClassVar

import httpx

from engage_pipeline.channels.account import Account
from engage_pipeline.channels.answers import Accepted, Answer, ProviderOutcome, Refused, Told, TryLater, Unknown
from engage_pipeline.channels.http import Endpoint
from engage_pipeline.channels.mail import compose
from engage_pipeline.channels.protocol import Client, Recipient, Request, Skip
from engage_pipeline.channels.provider import Provider
from engage_pipeline.channels.responses import asks_to_wait, json_object, put_off, reason_text
from engage_pipeline.channels.signatures import is_signed_by_sendgrid
from engage_pipeline.channels.templates import Template
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks
from engage_pipeline.channels.webhooks import (
    RawEvent,
    UnreadableWebhook,
    listing,
    mapping,
    number,
    parsed,
    raw_event,
    unix_instant,
    uuid_or_none,
    words,
)

_OUTCOMES: Mapping[str, str] = {
    "processed": "accepted",
    "deferred": "accepted",
    "delivered": "delivered",
    "open": "opened",
    "click": "opened",
    "bounce": "bounced",
    "dropped": "refused",
    "spamreport": "complained",
    "unsubscribe": "opted_out",
    "group_unsubscribe": "opted_out",
}


@dataclass(frozen=True)
class SendGridEmails:
    """E-mails from `sender`, "name <address>", unless the action names its own."""

    endpoint: Endpoint
    sender: str
    templates: Mapping[str, Template] = field(default_factory=dict)
    unsubscribe: UnsubscribeLinks | None = None
    action_type: ClassVar[str] = "email"
    look_up_repeats: ClassVar[bool] = False
    reports_outcomes: ClassVar[bool] = True

    def address(self, recipient: Recipient) -> str | None:
        """The e-mail address."""
        return recipient.email

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request | Skip:
        """The body of POST /v3/mail/send. It demands a subject and content, so the template is the tenant's."""
        mail = compose(
            recipient,
            action_config,
            reference=reference,
            sender=self.sender,
            templates=self.templates,
            unsubscribe=self.unsubscribe,
        )
        if isinstance(mail, Skip):
            return mail
        if mail is None:
            return Skip("no_template", "the tenant has no template of that name")
        return {
            "personalizations": [{"to": [{"email": mail.to}], "custom_args": {"action_log_id": reference}}],
            "from": _person(mail.sender),
            "subject": mail.subject,
            "content": [{"type": "text/plain", "value": mail.text}, {"type": "text/html", "value": mail.html}],
            **({"headers": dict(mail.headers)} if mail.headers else {}),
        }

    async def send(self, client: Client, request: Request, *, reference: str) -> Answer:
        """Send the e-mail. 202 has no body; the id is in `X-Message-Id`, and where it is missing ours stands for it."""
        response = await self.endpoint.exchange(client, "POST", "/v3/mail/send", body=request)
        if not isinstance(response, httpx.Response):
            return response
        if response.status_code == 202:
            return Accepted(response.headers.get("X-Message-Id") or reference)
        reason = reason_text(response, _error_words(response))
        if asks_to_wait(response):
            later = put_off(response, reason)
            if later.retry_after_seconds is not None:
                return later
            return replace(later, retry_after_seconds=_until_reset(response))
        if response.status_code in (401, 403):
            return TryLater(reason, pauses_account=f"SendGrid answers {response.status_code}: {reason}")
        if response.is_client_error:
            return Refused(str(response.status_code), reason)
        return Unknown(f"HTTP {response.status_code}: {reason}")

    async def look_up(self, client: Client, request: Request, *, reference: str, sent_at: datetime) -> Answer:
        """Unknown: SendGrid cannot be asked by our reference. An event with it settles the matter."""
        return Unknown("SendGrid cannot be asked what became of a request")

    async def ask_outcome(
        self, client: Client, request: Request, *, provider_message_id: str
    ) -> ProviderOutcome | TryLater | None:
        """None: reading messages back is an addition that most accounts do not have."""
        return None

    async def stated_concurrency(self, client: Client) -> int | None:
        """None: there is no such limit."""
        return None

    async def stop(self, client: Client, request: Request, *, provider_message_id: str) -> bool:
        """False: what was sent is not taken back."""
        return False


@dataclass(frozen=True)
class SendGridWebhooks:
    """The event webhook: an array of events, signed by ECDSA over time and bytes, the trailing line break included."""

    is_signed: ClassVar[bool] = True

    def is_authentic(self, raw: bytes, headers: Mapping[str, str], secret: str, *, now: datetime) -> bool:
        """By `X-Twilio-Email-Event-Webhook-Signature`; `secret` is the public verification key."""
        return is_signed_by_sendgrid(
            secret,
            raw,
            timestamp=headers.get("x-twilio-email-event-webhook-timestamp", ""),
            signature=headers.get("x-twilio-email-event-webhook-signature", ""),
            now=now,
        )

    def split(self, raw: bytes, headers: Mapping[str, str]) -> Sequence[RawEvent]:
        """Each event under its `sg_event_id`."""
        events = parsed(raw)
        if not isinstance(events, list):
            raise UnreadableWebhook("SendGrid sends an array of events")
        return [raw_event(str(mapping(event).get("sg_event_id") or ""), event) for event in events]

    def read(self, event: Any) -> Sequence[Told]:
        """The outcome of an e-mail; a bounce that is not a block also stops the address."""
        event = mapping(event)
        name = str(event.get("event"))
        outcome = _OUTCOMES.get(name)
        if outcome is None:
            return []
        told = ProviderOutcome(
            provider=PROVIDER.name,
            # The id that the send was answered with is the part before the first dot.
            provider_message_id=(words(event.get("sg_message_id")) or "").partition(".")[0] or None,
            action_log_id=uuid_or_none(event.get("action_log_id")),
            outcome=outcome,
            occurred_at=unix_instant(event.get("timestamp")),
            detail={
                "provider_status": name,
                **({"bounce_type": words(event.get("type"))} if event.get("type") else {}),
                **({"bounce_classification": kind} if (kind := words(event.get("bounce_classification"))) else {}),
            },
            is_opt_out=outcome in ("complained", "opted_out") or (name == "bounce" and event.get("type") != "blocked"),
        )
        return [told]


def _person(sender: str) -> dict[str, str]:
    name, address = parseaddr(sender)
    return {"email": address, **({"name": name} if name else {})}


def _error_words(response: httpx.Response) -> str | None:
    errors = [mapping(error) for error in listing(json_object(response).get("errors"))]
    return "; ".join(words(error.get("message")) or "" for error in errors) or None


def _until_reset(response: httpx.Response) -> float | None:
    """Seconds until `X-RateLimit-Reset`, a Unix time."""
    reset = number(response.headers.get("X-RateLimit-Reset"))
    return None if reset is None else min(max(reset - datetime.now(UTC).timestamp(), 1.0), 3_600.0)


def _open(account: Account) -> SendGridEmails:
    return SendGridEmails(
        account.endpoint,
        sender=str(account.settings["sender"]),
        templates=account.templates,
        unsubscribe=account.unsubscribe,
    )


PROVIDER = Provider(
    name="sendgrid",
    action_type="email",
    live_url="https://api.sendgrid.com",
    open_channel=_open,
    webhooks=SendGridWebhooks(),
    credentials=("api_key", "webhook_secret"),
    settings=("sender",),
    # Mail send has no rate of its own in the document; 600 a minute is what the other endpoints of v3 are given.
    requests_per_second=10,
)
