"""E-mail by Resend (POST /emails). Facts: Resend's OpenAPI document and its pages on errors and idempotency keys.

Our reference is the idempotency key. Resend keeps it 24 hours: the same key with the same body gives the first answer
again and sends nothing, with another body it is a 409.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote
from uuid import UUID

import httpx

from engage_pipeline.channels.account import Account
from engage_pipeline.channels.answers import Accepted, Answer, ProviderOutcome, Refused, Told, TryLater, Unknown
from engage_pipeline.channels.http import Endpoint
from engage_pipeline.channels.mail import NEUTRAL_SUBJECT, SUBJECT_LENGTH, Mail, compose
from engage_pipeline.channels.protocol import Client, Recipient, Request, Skip
from engage_pipeline.channels.provider import Provider
from engage_pipeline.channels.responses import asks_to_wait, identifier, json_object, put_off, reason_text, text_field
from engage_pipeline.channels.signatures import is_signed_by_svix
from engage_pipeline.channels.templates import Template
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks
from engage_pipeline.channels.variables import one_line, variable_values
from engage_pipeline.channels.webhooks import (
    RawEvent,
    UnreadableWebhook,
    iso_instant,
    listing,
    mapping,
    parsed,
    raw_event,
    uuid_or_none,
    words,
)

# The key lives 24 hours from its first arrival; the hour is for clocks that disagree.
_REPLAY_WINDOW = timedelta(hours=23)

# Event types without `email.`, and the `last_event` of GET /emails, with what they mean to us.
_OUTCOMES: Mapping[str, str] = {
    "scheduled": "accepted",
    "queued": "accepted",
    "sent": "accepted",
    "delivery_delayed": "accepted",
    "delivered": "delivered",
    "opened": "opened",
    "clicked": "opened",
    "bounced": "bounced",
    "complained": "complained",
    "failed": "failed",
    "canceled": "failed",
    "suppressed": "refused",
}

# Error names that only a person can mend: keys, the sender's domain, the plan.
_MISCONFIGURED = frozenset(
    {"missing_api_key", "restricted_api_key", "invalid_api_key", "invalid_from_address", "monthly_quota_exceeded"}
)
_QUOTA_SECONDS = 3_600.0


@dataclass(frozen=True)
class ResendEmails:
    """E-mails from `sender`, "name <address>", unless the action names its own."""

    endpoint: Endpoint
    sender: str
    templates: Mapping[str, Template] = field(default_factory=dict)
    unsubscribe: UnsubscribeLinks | None = None
    action_type: ClassVar[str] = "email"
    look_up_repeats: ClassVar[bool] = True
    reports_outcomes: ClassVar[bool] = True

    def address(self, recipient: Recipient) -> str | None:
        """The e-mail address."""
        return recipient.email

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request | Skip:
        """The body of POST /emails: the tenant's template as text and HTML, or else one of Resend's own with variables.

        Resend wants a subject even with a template; an action without one gets a neutral line.
        """
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
        tags = [{"name": "action_log_id", "value": reference}]
        if isinstance(mail, Mail):
            return {
                "from": mail.sender,
                "to": [mail.to],
                "subject": mail.subject,
                "text": mail.text,
                "html": mail.html,
                "tags": tags,
                **({"headers": dict(mail.headers)} if mail.headers else {}),
            }
        headers = {} if self.unsubscribe is None else self.unsubscribe.headers(reference)
        return {
            "from": one_line(str(action_config.get("from", self.sender)), SUBJECT_LENGTH),
            "to": [recipient.email],
            "subject": one_line(str(action_config.get("subject", NEUTRAL_SUBJECT)), SUBJECT_LENGTH),
            "tags": tags,
            "template": {
                "id": str(action_config["template_id"]),
                "variables": variable_values(recipient, action_config),
            },
            **({"headers": headers} if headers else {}),
        }

    async def send(self, client: Client, request: Request, *, reference: str) -> Answer:
        """Send the e-mail. A 5xx is Unknown, since Resend may have taken it; a look-up then asks under the same key."""
        headers = {"Idempotency-Key": reference}
        response = await self.endpoint.exchange(client, "POST", "/emails", body=request, headers=headers)
        if not isinstance(response, httpx.Response):
            return response
        body = json_object(response)
        if response.is_success:
            email_id = identifier(body, "id")
            return Accepted(email_id) if email_id else Unknown("Resend answered without an id")
        reason = reason_text(response, text_field(body, "message"))
        name = identifier(body, "name") or str(response.status_code)
        if name in _MISCONFIGURED or response.status_code in (401, 403):
            return TryLater(reason, pauses_account=f"Resend answers {name}: {reason}")
        if asks_to_wait(response):
            later = put_off(response, reason)
            is_quota = name == "daily_quota_exceeded" and later.retry_after_seconds is None
            return replace(later, retry_after_seconds=_QUOTA_SECONDS) if is_quota else later
        if response.status_code == 404 and "template" in request:
            # The path is there, so it is the template of Resend's own that is not, for whomever the e-mail is.
            return TryLater(reason, stops_template=f"Resend answers {name}: {reason}")
        # A 409 says that a request with this key is on its way or has already been taken.
        if response.is_client_error and response.status_code != 409:
            return Refused(name, reason)
        return Unknown(f"HTTP {response.status_code}: {reason}")

    async def look_up(self, client: Client, request: Request, *, reference: str, sent_at: datetime) -> Answer:
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

    async def ask_outcome(
        self, client: Client, request: Request, *, provider_message_id: str
    ) -> ProviderOutcome | TryLater | None:
        """What GET /emails says happened last. Resend gives no time with it, so the time is now."""
        response = await self.endpoint.exchange(client, "GET", f"/emails/{quote(provider_message_id, safe='')}")
        if not isinstance(response, httpx.Response) or response.status_code == 429 or response.is_server_error:
            return TryLater("Resend could not be asked")
        last_event = str(json_object(response).get("last_event"))
        if not response.is_success or last_event not in _OUTCOMES:
            return None
        return ProviderOutcome(
            PROVIDER.name,
            provider_message_id,
            None,
            _OUTCOMES[last_event],
            datetime.now(UTC),
            {"provider_status": last_event},
        )

    async def stated_concurrency(self, client: Client) -> int | None:
        """None: there is no such limit."""
        return None

    async def stop(self, client: Client, request: Request, *, provider_message_id: str) -> bool:
        """False: what was sent is not taken back."""
        return False


@dataclass(frozen=True)
class ResendWebhooks:
    """One event a body, signed as Standard Webhooks and Svix say; `svix-id` is the event's id."""

    is_signed: ClassVar[bool] = True

    def is_authentic(self, raw: bytes, headers: Mapping[str, str], secret: str, *, now: datetime) -> bool:
        """By `svix-signature` over id, time and body."""
        return is_signed_by_svix(
            secret,
            raw,
            message_id=headers.get("svix-id", ""),
            timestamp=headers.get("svix-timestamp", ""),
            signatures=headers.get("svix-signature", ""),
            now=now,
        )

    def split(self, raw: bytes, headers: Mapping[str, str]) -> Sequence[RawEvent]:
        """The one event."""
        body = mapping(parsed(raw))
        if words(body.get("type")) is None:
            raise UnreadableWebhook("an event has a type")
        return [raw_event(headers.get("svix-id", ""), body)]

    def read(self, event: Any) -> Sequence[Told]:
        """The outcome of an e-mail; a complaint and a permanent bounce also stop the address."""
        event = mapping(event)
        name, data = str(event.get("type")).removeprefix("email."), mapping(event.get("data"))
        outcome, email_id = _OUTCOMES.get(name), words(data.get("email_id"))
        if outcome is None or not str(event.get("type")).startswith("email."):
            return []
        if email_id is None:
            raise UnreadableWebhook("an e-mail event has an email_id")
        bounce, failed = mapping(data.get("bounce")), mapping(data.get("failed"))
        kind = words(bounce.get("type"))
        told = ProviderOutcome(
            provider=PROVIDER.name,
            provider_message_id=email_id,
            action_log_id=_reference(data.get("tags")),
            outcome=outcome,
            occurred_at=iso_instant(event.get("created_at")),
            detail={
                "provider_status": name,
                **({"bounce_type": kind, "bounce_subtype": words(bounce.get("subType"))} if kind else {}),
                **({"reason": words(failed.get("reason"))} if failed.get("reason") else {}),
            },
            is_opt_out=outcome == "complained" or kind == "Permanent",
        )
        return [told]


def _reference(tags: Any) -> UUID | None:
    """Our reference among the tags: an object in Resend's SDK, a list of name and value in older documentation."""
    if isinstance(tags, dict):
        return uuid_or_none(tags.get("action_log_id"))
    named = (mapping(tag) for tag in listing(tags))
    return next((uuid_or_none(tag.get("value")) for tag in named if tag.get("name") == "action_log_id"), None)


def _open(account: Account) -> ResendEmails:
    return ResendEmails(
        account.endpoint,
        sender=str(account.settings["sender"]),
        templates=account.templates,
        unsubscribe=account.unsubscribe,
    )


PROVIDER = Provider(
    name="resend",
    action_type="email",
    live_url="https://api.resend.com",
    open_channel=_open,
    webhooks=ResendWebhooks(),
    credentials=("api_key", "webhook_secret"),
    settings=("sender",),
    # Requests a second and team (Resend, "Rate limit"; older copies say 2).
    requests_per_second=5,
)
