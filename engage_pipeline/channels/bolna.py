"""Calls by Bolna (POST /call). Facts: Bolna's OpenAPI document and its public client's tests, November 2026.

Bolna has no idempotency key and no client reference, so a call whose answer was lost is found by listing the agent's
executions; `user_data`, which carries our reference, comes back as `context_details`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote
from uuid import UUID

import httpx

from engage_pipeline.channels.account import Account
from engage_pipeline.channels.answers import (
    Accepted,
    AccountTrouble,
    Answer,
    ProviderOutcome,
    Refused,
    Told,
    TryLater,
    Unknown,
)
from engage_pipeline.channels.http import Endpoint
from engage_pipeline.channels.protocol import Client, Recipient, Request, Skip
from engage_pipeline.channels.provider import Provider
from engage_pipeline.channels.responses import asks_to_wait, identifier, json_object, put_off, reason_text, text_field
from engage_pipeline.channels.variables import variable_values
from engage_pipeline.channels.webhooks import (
    RawEvent,
    UnreadableWebhook,
    iso_instant,
    mapping,
    number,
    parsed,
    raw_event,
    storable,
    uuid_or_none,
    words,
)

# An execution is created when the request arrives, shortly after the intent; the rest is for clocks that disagree.
_BEFORE_INTENT = timedelta(minutes=1)
_AFTER_INTENT = timedelta(minutes=5)
_PAGE_SIZE = 50  # Bolna's maximum
_PAGE_LIMIT = 60  # six minutes of an organisation's 500 calls a minute

# Lead text reaches the prompt of an AI that speaks: enough for a name or a plan, too little for instructions.
_LONGEST_VALUE = 200

_TRANSCRIPT_LENGTH = 100_000

# Statuses after which nothing follows, with what they mean to us; `completed` is decided by the conversation.
_TERMINAL: Mapping[str, str] = {
    "completed": "answered",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "failed",
    "failed": "failed",
    "stopped": "failed",
    "error": "failed",
    "balance-low": "failed",
}

# What only a person can mend: the key is wrong or may not do this, the balance is spent, the agent does not exist.
_MISCONFIGURED = frozenset({401, 402, 403, 404})


@dataclass(frozen=True)
class BolnaCalls:
    """Voice calls by a Bolna agent."""

    endpoint: Endpoint
    action_type: ClassVar[str] = "ai_call"
    look_up_repeats: ClassVar[bool] = False
    reports_outcomes: ClassVar[bool] = True

    def address(self, recipient: Recipient) -> str | None:
        """The phone number in E.164."""
        return recipient.phone_e164

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request | Skip:
        """The body of POST /call, with the fields that the action lists, each one line of at most 200 characters.
        Retries stay the ledger's, so Bolna's own are off."""
        variables = variable_values(recipient, action_config, longest=_LONGEST_VALUE)
        return {
            "agent_id": str(action_config["agent_id"]),
            "recipient_phone_number": recipient.phone_e164,
            "from_phone_number": str(action_config["phone_number_id"]),
            "user_data": {**variables, "action_log_id": reference},
            "retry_config": {"enabled": False},
        }

    async def send(self, client: Client, request: Request, *, reference: str) -> Answer:
        """Place the call. A 5xx is Unknown, since Bolna may have queued it."""
        response = await self.endpoint.exchange(client, "POST", "/call", body=request)
        if not isinstance(response, httpx.Response):
            return response
        body = json_object(response)
        if response.is_success:
            execution_id = identifier(body, "execution_id")
            return Accepted(execution_id) if execution_id else Unknown("Bolna answered without an execution_id")
        reason = reason_text(response, _error_words(body))
        if asks_to_wait(response):
            return put_off(response, reason)
        if response.status_code in _MISCONFIGURED:
            return TryLater(reason, pauses_account=f"Bolna answers {response.status_code}: {reason}")
        if response.is_client_error:
            return Refused(_error_code(response, body), reason)
        return Unknown(f"HTTP {response.status_code}: {reason}")

    async def look_up(self, client: Client, request: Request, *, reference: str, sent_at: datetime) -> Answer:
        """Search the agent's executions around `sent_at` for the one that carries `reference`.

        Not found is Unknown: an execution may be listed late.
        """
        for page_number in range(1, _PAGE_LIMIT + 1):
            page = await self._executions_page(client, request["agent_id"], sent_at, page_number)
            if page is None:
                return TryLater("Bolna's list of executions could not be read")
            rows, has_more = page
            for row in rows:
                if _called(row) == _digits(request["recipient_phone_number"]):
                    execution_id = identifier(row, "id")
                    if execution_id and await self._carries(client, execution_id, reference):
                        return Accepted(execution_id)
            if not has_more:
                return Unknown("none of Bolna's executions of that time carries this action")
        return Unknown(f"not among the {_PAGE_LIMIT * _PAGE_SIZE} Bolna executions that were searched")

    async def _executions_page(
        self, client: Client, agent_id: str, sent_at: datetime, page_number: int
    ) -> tuple[list[dict[str, Any]], bool] | None:
        sent_at = sent_at.astimezone(UTC)
        response = await self.endpoint.exchange(
            client,
            "GET",
            f"/v2/agent/{quote(agent_id, safe='')}/executions",
            params={
                "from": (sent_at - _BEFORE_INTENT).isoformat(),
                "to": (sent_at + _AFTER_INTENT).isoformat(),
                "page_number": page_number,
                "page_size": _PAGE_SIZE,
            },
        )
        if not isinstance(response, httpx.Response) or not response.is_success:
            return None
        body = json_object(response)
        rows = body.get("data")
        if not isinstance(rows, list):
            return None
        return [row for row in rows if isinstance(row, dict)], body.get("has_more") is True

    async def _carries(self, client: Client, execution_id: str, reference: str) -> bool:
        execution = await self._execution(client, execution_id)
        # A UUID cannot stand there by chance, so the depth at which user_data comes back does not matter.
        return execution is not None and reference in json.dumps(execution.get("context_details"))

    async def ask_outcome(
        self, client: Client, request: Request, *, provider_message_id: str
    ) -> ProviderOutcome | TryLater | None:
        """What GET /executions says of the call; None while it is not over or Bolna does not know it."""
        execution = await self._execution(client, provider_message_id)
        if execution is None:
            return TryLater("Bolna could not be asked")
        try:
            told = BolnaWebhooks().read(execution)
        except UnreadableWebhook:
            return None
        return next((each for each in told if isinstance(each, ProviderOutcome)), None)

    async def stop(self, client: Client, request: Request, *, provider_message_id: str) -> bool:
        """Take a call that is still queued out of Bolna's queue."""
        path = f"/call/{quote(provider_message_id, safe='')}/stop"
        response = await self.endpoint.exchange(client, "POST", path)
        return isinstance(response, httpx.Response) and response.is_success

    async def stated_concurrency(self, client: Client) -> int | None:
        """How many calls Bolna lets the account hold at once (GET /user/me); None when it cannot be asked."""
        response = await self.endpoint.exchange(client, "GET", "/user/me")
        if not isinstance(response, httpx.Response) or not response.is_success:
            return None
        most = number(mapping(json_object(response).get("concurrency")).get("max"))
        return None if most is None or most < 1 else int(most)

    async def _execution(self, client: Client, execution_id: str) -> dict[str, Any] | None:
        response = await self.endpoint.exchange(client, "GET", f"/executions/{quote(execution_id, safe='')}")
        return json_object(response) if isinstance(response, httpx.Response) and response.is_success else None


@dataclass(frozen=True)
class BolnaWebhooks:
    """One body a status change, the same as GET /executions gives. Unsigned: its path is the secret."""

    is_signed: ClassVar[bool] = False

    def is_authentic(self, raw: bytes, headers: Mapping[str, str], secret: str, *, now: datetime) -> bool:
        """True: whoever knows the path is believed as far as it goes, which is not beyond a status to read again."""
        return True

    def split(self, raw: bytes, headers: Mapping[str, str]) -> Sequence[RawEvent]:
        """One event under the execution's id and status."""
        body = mapping(parsed(raw))
        execution_id, status = words(body.get("id")), words(body.get("status"))
        if execution_id is None or status is None:
            raise UnreadableWebhook("an execution has an id and a status")
        return [raw_event(f"{execution_id}:{status}", body)]

    def read(self, event: Any) -> Sequence[Told]:
        """The outcome of a call: answered only when somebody conversed. A status that is not terminal is `accepted`."""
        execution = mapping(event)
        execution_id, status = words(execution.get("id")), words(execution.get("status"))
        if execution_id is None or status is None:
            raise UnreadableWebhook("an execution has an id and a status")
        seconds = number(execution.get("conversation_duration"))
        outcome = _TERMINAL.get(status, "accepted")
        if status == "completed" and execution.get("answered_by_voice_mail") is True:
            outcome = "voicemail"
        elif status == "completed" and not (seconds and seconds > 0):
            outcome = "no_answer"
        is_over = status in _TERMINAL
        told = ProviderOutcome(
            provider=PROVIDER.name,
            provider_message_id=execution_id,
            action_log_id=_reference(execution.get("context_details")),
            outcome=outcome,
            occurred_at=iso_instant(execution.get("updated_at") or execution.get("created_at")),
            detail=_detail(execution, status) if is_over else {"provider_status": status},
            cost_cents=number(execution.get("total_cost")) if is_over else None,
            call_seconds=seconds if is_over else None,
        )
        if status == "balance-low":
            return [told, AccountTrouble("balance-low", "Bolna's wallet is empty; add balance before resuming")]
        return [told]


def _detail(execution: Mapping[str, Any], status: str) -> dict[str, Any]:
    """What is kept of a call. The recording's link expires; Bolna gives a fresh one on asking."""
    telephony = mapping(execution.get("telephony_data"))
    kept = {
        "provider_status": status,
        "transcript": (words(execution.get("transcript")) or "")[:_TRANSCRIPT_LENGTH] or None,
        "recording_url": words(telephony.get("recording_url")),
        "extracted_data": storable(execution.get("extracted_data")),
        "hangup_reason": words(telephony.get("hangup_reason")),
        "termination_reason": words(execution.get("termination_reason")),
        "error_message": words(execution.get("error_message")),
    }
    return {name: value for name, value in kept.items() if value is not None}


def _reference(context: Any) -> UUID | None:
    """Our reference, at whatever depth Bolna gives `user_data` back."""
    if isinstance(context, dict):
        found = uuid_or_none(context.get("action_log_id"))
        return found or next(filter(None, map(_reference, context.values())), None)
    return None


def _called(row: dict[str, Any]) -> str | None:
    telephony = row.get("telephony_data")
    number = telephony.get("to_number") if isinstance(telephony, dict) else None
    return _digits(number) if isinstance(number, str) else None


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number))


def _error_words(body: dict[str, Any]) -> str | None:
    """Bolna's errors: {"error": int, "message"}, {"message"}, {"detail": text or a list}, {"error": text} or empty."""
    words = text_field(body, "message") or text_field(body, "detail") or text_field(body, "error")
    if words is None and body.get("detail"):
        return json.dumps(body["detail"])
    return words


def _error_code(response: httpx.Response, body: dict[str, Any]) -> str:
    number = body.get("error")
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else str(response.status_code)


def _open(account: Account) -> BolnaCalls:
    return BolnaCalls(account.endpoint)


PROVIDER = Provider(
    name="bolna",
    action_type="ai_call",
    live_url="https://api.bolna.ai",
    open_channel=_open,
    webhooks=BolnaWebhooks(),
    credentials=("api_key",),
    optional_settings=("allowed_addresses",),
    # 500 calls a minute and an organisation; calls at once from GET /user/me, two on a trial (Bolna, "Limits").
    requests_per_second=500 / 60,
    in_flight=2,
)
