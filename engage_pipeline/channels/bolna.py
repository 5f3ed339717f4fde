"""Calls by Bolna (POST /call). Facts: Bolna's OpenAPI document and its public client's tests, November 2026.

Bolna has no idempotency key and no client reference, so a call whose answer was lost is found by listing the agent's
executions; `user_data`, which carries our reference, comes back as `context_details`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from engage_pipeline.channels.answers import Accepted, Answer, Refused, TryLater, Unknown
from engage_pipeline.channels.http import exchange
from engage_pipeline.channels.protocol import Recipient, Request
from engage_pipeline.channels.responses import asks_to_wait, identifier, json_object, put_off, reason_text, text_field
from engage_pipeline.channels.variables import variable_values

# An execution is created when the request arrives, shortly after the intent; the rest is for clocks that disagree.
_BEFORE_INTENT = timedelta(minutes=1)
_AFTER_INTENT = timedelta(minutes=5)
_PAGE_SIZE = 50  # Bolna's maximum
_PAGE_LIMIT = 60  # six minutes of an organisation's 500 calls a minute


@dataclass(frozen=True)
class BolnaCalls:
    """Voice calls by a Bolna agent. `base_url` has no slash at its end."""

    base_url: str
    action_type: ClassVar[str] = "ai_call"
    look_up_repeats: ClassVar[bool] = False
    reports_outcomes: ClassVar[bool] = False

    def address(self, recipient: Recipient) -> str | None:
        """The phone number in E.164."""
        return recipient.phone_e164

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request:
        """The body of POST /call. Retries stay the ledger's, so Bolna's own are off."""
        return {
            "agent_id": str(action_config["agent_id"]),
            "recipient_phone_number": recipient.phone_e164,
            "from_phone_number": str(action_config["phone_number_id"]),
            "user_data": {**variable_values(recipient, action_config), "action_log_id": reference},
            "retry_config": {"enabled": False},
        }

    async def send(self, client: httpx.AsyncClient, request: Request, *, reference: str) -> Answer:
        """Place the call. A 5xx is Unknown, since Bolna may have queued it."""
        response = await exchange(client, "POST", f"{self.base_url}/call", body=request)
        if not isinstance(response, httpx.Response):
            return response
        body = json_object(response)
        if response.is_success:
            execution_id = identifier(body, "execution_id")
            return Accepted(execution_id) if execution_id else Unknown("Bolna answered without an execution_id")
        reason = reason_text(response, _error_words(body))
        if asks_to_wait(response):
            return put_off(response, reason)
        if response.is_client_error:
            return Refused(_error_code(response, body), reason)
        return Unknown(f"HTTP {response.status_code}: {reason}")

    async def look_up(
        self, client: httpx.AsyncClient, request: Request, *, reference: str, sent_at: datetime
    ) -> Answer:
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
        self, client: httpx.AsyncClient, agent_id: str, sent_at: datetime, page_number: int
    ) -> tuple[list[dict[str, Any]], bool] | None:
        sent_at = sent_at.astimezone(UTC)
        response = await exchange(
            client,
            "GET",
            f"{self.base_url}/v2/agent/{quote(agent_id, safe='')}/executions",
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

    async def _carries(self, client: httpx.AsyncClient, execution_id: str, reference: str) -> bool:
        response = await exchange(client, "GET", f"{self.base_url}/executions/{quote(execution_id, safe='')}")
        if not isinstance(response, httpx.Response) or not response.is_success:
            return False
        # A UUID cannot stand there by chance, so the depth at which user_data comes back does not matter.
        return reference in json.dumps(json_object(response).get("context_details"))


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
