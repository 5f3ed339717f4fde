"""Webhooks of the sandbox: what each provider would send for a stage of a course, signed as it signs, and sent.

An account's key says where to and under which secret; see `keys`. Only loopback addresses are ever connected to.
"""

import asyncio
import base64
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from engage_pipeline.channels.http import loopback_url
from engage_pipeline.channels.sandbox.behaviour import Behaviour
from engage_pipeline.channels.sandbox.course import Course, Stage
from engage_pipeline.channels.sandbox.keys import SandboxKey, signing_key, svix_secret
from engage_pipeline.channels.sandbox.record import Entry, Provider
from engage_pipeline.channels.signatures import meta_signature, svix_signature

_REPEATED_AFTER_SECONDS = (1.0, 5.0, 25.0)
"""A webhook that was not taken comes again; real providers go on for hours or days."""

_AT_ONCE = 20
_GATHERING_SECONDS = 0.25
_MOST_STATUSES = 200


@dataclass(frozen=True)
class Subject:
    """One accepted request, as its webhooks name it. What is personal is kept only until the last of them is sent."""

    entry: Entry
    address: str
    course: Course
    key: SandboxKey
    sender: str = ""
    subject: str = ""


def execution_body(subject_entry: Entry, course: Course, status: str, *, now: datetime) -> dict[str, Any]:
    """What GET /executions gives and Bolna's webhooks carry."""
    is_over = status not in ("queued", "initiated", "ringing", "in-progress", "call-disconnected")
    seconds = course.conversation_seconds if is_over else 0.0
    recording_url = f"http://127.0.0.1/recordings/{subject_entry.provider_message_id}"
    return {
        "id": subject_entry.provider_message_id,
        "agent_id": subject_entry.agent_id,
        "conversation_duration": seconds,
        "total_cost": round(2.0 + seconds * 0.12, 3) if is_over else 0,
        "status": status,
        **({"answered_by_voice_mail": course.is_voicemail} if is_over else {}),
        **({"transcript": "assistant: Hello, this is the sandbox.\nuser: Hello."} if seconds else {}),
        "created_at": subject_entry.at,
        "updated_at": now.isoformat(),
        "telephony_data": {
            "duration": str(round(seconds)),
            **({"to_number": subject_entry.to_number} if subject_entry.to_number else {}),
            **({"recording_url": recording_url} if seconds else {}),
            "call_type": "outbound",
            "provider": "twilio",
        },
        "extracted_data": {"interested": seconds > 60} if seconds else None,
        "context_details": {"recipient_data": {"action_log_id": subject_entry.reference}},
    }


def _bolna(subject: Subject, stage: Stage, now: datetime) -> Any:
    return execution_body(subject.entry, subject.course, stage.status, now=now)


def _resend(subject: Subject, stage: Stage, now: datetime) -> Any:
    bounce = {
        "message": "The mailbox does not exist.",
        "type": "Permanent",
        "subType": "General",
        "diagnosticCode": ["smtp; 550 5.1.1 user unknown"],
    }
    failed = {"reason": "reached_daily_quota"}
    return {
        "type": f"email.{stage.status}",
        "created_at": now.isoformat(),
        "data": {
            "email_id": subject.entry.provider_message_id,
            "created_at": subject.entry.at,
            "from": subject.sender,
            "to": [subject.address],
            "subject": subject.subject,
            **({"tags": {"action_log_id": subject.entry.reference}} if subject.entry.reference else {}),
            **({"bounce": bounce} if stage.status == "bounced" else {}),
            **({"failed": failed} if stage.status == "failed" else {}),
        },
    }


_SENDGRID_EVENTS = {
    "sent": "processed",
    "delivered": "delivered",
    "opened": "open",
    "bounced": "bounce",
    "complained": "spamreport",
    "failed": "dropped",
}


def _sendgrid(subject: Subject, stage: Stage, now: datetime) -> Any:
    return {
        "email": subject.address,
        "event": _SENDGRID_EVENTS[stage.status],
        "sg_event_id": f"{subject.entry.provider_message_id}-{stage.status}",
        "sg_message_id": f"{subject.entry.provider_message_id}.recvd-sandbox-1",
        "timestamp": int(now.timestamp()),
        "action_log_id": subject.entry.reference,
        **({"type": "bounce"} if stage.status == "bounced" else {}),
    }


def _whatsapp(subject: Subject, stage: Stage, now: datetime) -> Any:
    opted_out = {"code": 131050, "title": "Unable to deliver the message. User has stopped marketing messages."}
    undeliverable = {"code": 131026, "title": "Message undeliverable"}
    error = opted_out if subject.course.has_opted_out else undeliverable
    return {
        "id": subject.entry.provider_message_id,
        "status": stage.status,
        "timestamp": str(int(now.timestamp())),
        "recipient_id": subject.address,
        "biz_opaque_callback_data": subject.entry.reference,
        **({"errors": [error]} if stage.status == "failed" else {}),
    }


_SPEAKERS: Mapping[Provider, Callable[[Subject, Stage, datetime], Any]] = {
    "bolna": _bolna,
    "whatsapp": _whatsapp,
    "resend": _resend,
    "sendgrid": _sendgrid,
}


def happening(subject: Subject, stage: Stage, now: datetime) -> Any:
    """What the provider tells of one stage: a body of its own, or an item of one."""
    return _SPEAKERS[subject.entry.provider](subject, stage, now)


def webhook_body(provider: Provider, happenings: list[Any]) -> bytes:
    """The body in which a provider sends these: Meta and SendGrid many at once, the others one."""
    if provider == "whatsapp":
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550100000", "phone_number_id": "sandbox"},
            "statuses": happenings,
        }
        change = {"value": value, "field": "messages"}
        return json.dumps(
            {"object": "whatsapp_business_account", "entry": [{"id": "sandbox", "changes": [change]}]}
        ).encode()
    if provider == "sendgrid":
        return json.dumps(happenings).encode() + b"\r\n"
    (only,) = happenings
    return json.dumps(only).encode()


def signed_headers(
    provider: Provider, key: SandboxKey, raw: bytes, *, message_id: str, now: datetime
) -> dict[str, str]:
    """The headers by which the provider proves that it sent `raw`."""
    headers = {"Content-Type": "application/json"}
    timestamp = str(int(now.timestamp()))
    if provider == "whatsapp":
        return {**headers, "X-Hub-Signature-256": meta_signature(key.secret, raw)}
    if provider == "resend":
        signature = svix_signature(svix_secret(key.secret), raw, message_id=message_id, timestamp=timestamp)
        return {**headers, "svix-id": message_id, "svix-timestamp": timestamp, "svix-signature": signature}
    if provider == "sendgrid":
        given = signing_key(key.secret).sign(timestamp.encode() + raw, ec.ECDSA(SHA256()))
        return {
            **headers,
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(given).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
    return headers


@dataclass
class Teller:
    """Sends the webhooks of accepted requests when their stages come. `webhook_url` has no slash at its end.

    Raises, on making:
        NotLoopback: `webhook_url` leads off this machine.
    """

    webhook_url: str
    behaviour: Behaviour
    counts: dict[str, int] = field(default_factory=lambda: {"sent": 0, "not_taken": 0})
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _gathered: dict[tuple[Provider, SandboxKey], list[Any]] = field(default_factory=dict)
    _session: aiohttp.ClientSession | None = None
    _at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def __post_init__(self) -> None:
        self.webhook_url = str(loopback_url(httpx.URL(self.webhook_url))).rstrip("/")

    def tell(self, subject: Subject) -> None:
        """Send what becomes of the request, each stage at its time."""
        # Seeded by what was told, so that a run with the same ids loses and doubles the same webhooks.
        drawn = random.Random(f"{self.behaviour.seed}|{subject.entry.provider_message_id}")  # noqa: S311 - no secret
        begin = datetime.fromisoformat(subject.entry.at)
        for stage in subject.course.stages:
            if stage.after_seconds == 0 or drawn.random() < self.behaviour.webhooks_lost_share:
                continue
            is_late = drawn.random() < self.behaviour.webhook_reordered_share
            late = self.behaviour.outcome_seconds if is_late else 0.0
            for _ in range(2 if drawn.random() < self.behaviour.webhook_duplicated_share else 1):
                self._later(self._stage(subject, stage, begin + timedelta(seconds=stage.after_seconds + late)))

    async def close(self) -> None:
        """Forget what is still to come."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stage(self, subject: Subject, stage: Stage, at: datetime) -> None:
        await asyncio.sleep(max((at - datetime.now(UTC)).total_seconds(), 0))
        provider = subject.entry.provider
        told = happening(subject, stage, datetime.now(UTC))
        if provider not in ("whatsapp", "sendgrid"):
            message_id = f"msg_{subject.entry.provider_message_id}_{stage.status}"
            await self._send(provider, subject.key, [told], message_id)
            return
        # These two send what gathers in a moment in one body.
        place = (provider, subject.key)
        if place in self._gathered:
            self._gathered[place].append(told)
            return
        self._gathered[place] = [told]
        await asyncio.sleep(_GATHERING_SECONDS)
        gathered = self._gathered.pop(place)
        for first in range(0, len(gathered), _MOST_STATUSES):
            await self._send(provider, subject.key, gathered[first : first + _MOST_STATUSES], f"msg_{uuid4().hex}")

    async def _send(self, provider: Provider, key: SandboxKey, happenings: list[Any], message_id: str) -> None:
        raw = webhook_body(provider, happenings)
        for wait in (*_REPEATED_AFTER_SECONDS, None):
            async with self._at_once:
                if await self._post(provider, key, raw, message_id):
                    self.counts["sent"] += 1
                    return
            if wait is not None:
                await asyncio.sleep(wait)
        self.counts["not_taken"] += 1

    async def _post(self, provider: Provider, key: SandboxKey, raw: bytes, message_id: str) -> bool:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=5),
                connector=aiohttp.TCPConnector(keepalive_timeout=2),
                trust_env=False,
            )
        headers = signed_headers(provider, key, raw, message_id=message_id, now=datetime.now(UTC))
        try:
            url = f"{self.webhook_url}/webhooks/{provider}/{key.token}"
            async with self._session.post(url, data=raw, headers=headers, allow_redirects=False) as response:
                return response.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False
