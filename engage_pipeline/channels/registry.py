"""Which channel carries out which type of action."""

import httpx

from engage_pipeline.channels.bolna import BolnaCalls
from engage_pipeline.channels.http import NotLoopback, loopback_url
from engage_pipeline.channels.protocol import Channel
from engage_pipeline.channels.resend import ResendEmails
from engage_pipeline.channels.whatsapp import WhatsAppMessages


def sandbox_channels(sandbox_url: str) -> dict[str, Channel]:
    """Every channel by its action_type, speaking to the sandbox at `sandbox_url`.

    Raises:
        NotLoopback: `sandbox_url` leads off this machine.
    """
    try:
        base_url = str(loopback_url(httpx.URL(sandbox_url))).rstrip("/")
    except httpx.InvalidURL as error:
        raise NotLoopback(sandbox_url) from error
    channels: list[Channel] = [
        BolnaCalls(f"{base_url}/bolna"),
        WhatsAppMessages(f"{base_url}/whatsapp"),
        ResendEmails(f"{base_url}/resend", sender="Engage <engage@example.com>"),
    ]
    return {channel.action_type: channel for channel in channels}
