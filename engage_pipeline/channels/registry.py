"""The providers. Adding one is a module with a `PROVIDER` and its line here."""

from collections.abc import Mapping
from uuid import UUID

import httpx

from engage_pipeline.channels import bolna, resend, sendgrid, smtp, whatsapp
from engage_pipeline.channels.account import Account
from engage_pipeline.channels.http import NotLoopback, loopback_url
from engage_pipeline.channels.protocol import Channel
from engage_pipeline.channels.provider import Provider

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        bolna.PROVIDER,
        whatsapp.PROVIDER,
        resend.PROVIDER,
        sendgrid.PROVIDER,
        smtp.PROVIDER,
    )
}

SANDBOX_PROVIDERS: Mapping[str, str] = {"ai_call": "bolna", "whatsapp_message": "whatsapp", "email": "resend"}
"""Which provider a tenant's sandbox account of each channel has until it gets another."""

SANDBOX_SENDER = "Engage <engage@example.com>"


def sandbox_base_url(sandbox_url: str, provider: str) -> str:
    """Where the sandbox speaks as that provider.

    Raises:
        NotLoopback: `sandbox_url` leads off this machine.
    """
    try:
        return f"{str(loopback_url(httpx.URL(sandbox_url))).rstrip('/')}/{provider}"
    except httpx.InvalidURL as error:
        raise NotLoopback(sandbox_url) from error


def sandbox_channels(sandbox_url: str) -> dict[str, Channel]:
    """One channel by action_type, speaking to the sandbox at `sandbox_url` for no tenant in particular.

    Raises:
        NotLoopback: `sandbox_url` leads off this machine.
    """
    nobody = UUID(int=0)
    return {
        action_type: PROVIDERS[name].open_channel(
            Account(
                nobody,
                nobody,
                name,
                "sandbox",
                sandbox_base_url(sandbox_url, name),
                credentials={"api_key": "nobody"},
                settings={"sender": SANDBOX_SENDER},
            )
        )
        for action_type, name in SANDBOX_PROVIDERS.items()
    }
