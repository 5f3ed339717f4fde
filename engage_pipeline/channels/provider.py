"""What a provider's module says about itself. Adding a provider is such a module and a line in the registry."""

from collections.abc import Callable
from dataclasses import dataclass

from engage_pipeline.channels.account import Account
from engage_pipeline.channels.protocol import Channel
from engage_pipeline.channels.webhooks import Webhooks


@dataclass(frozen=True)
class Provider:
    """One provider.

    Attributes:
        action_type: the kind of action that it carries out.
        live_url: where its API is; None when the account's settings say so.
        open_channel: the channel of one account.
        webhooks: None when it sends none.
        credentials, settings: the names that an account needs.
        optional_settings: further ones that it may have.
        requests_per_second, in_flight, daily_cap: its documented limits, the default of a live account's budget; None
            for no limit. In flight is accepted and not terminal; what the provider states of an account replaces it.
    """

    name: str
    action_type: str
    live_url: str | None
    open_channel: Callable[[Account], Channel]
    webhooks: Webhooks | None
    credentials: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    optional_settings: tuple[str, ...] = ()
    requests_per_second: float | None = None
    in_flight: int | None = None
    daily_cap: int | None = None
