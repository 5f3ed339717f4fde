"""A tenant's account with one provider, as a channel needs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from engage_pipeline.channels.http import Endpoint
from engage_pipeline.channels.templates import Template
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks

Mode = Literal["sandbox", "live"]


@dataclass(frozen=True)
class Account:
    """One account: `sandbox` reaches the sandbox providers only, `live` reaches people.

    Attributes:
        base_url: where the provider's API is, for this account; no slash at its end.
        credentials: names and values as the provider's module lists them. Never printed.
        settings: what is no secret: sender, API version, ids at the provider.
        templates: the tenant's templates for the channel, by name.
    """

    account_id: UUID
    user_id: UUID
    provider: str
    mode: Mode
    base_url: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict, repr=False)
    unsubscribe: UnsubscribeLinks | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go, authorised by the credential `api_key`."""
        return Endpoint(self.base_url, self.credentials.get("api_key", ""), self.mode == "live")
