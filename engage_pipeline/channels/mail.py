"""What an e-mail says, whichever provider carries it: subject, text and HTML from one template, and how to stop it."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from engage_pipeline.channels.protocol import Recipient, Skip
from engage_pipeline.channels.templates import Template
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks
from engage_pipeline.channels.variables import one_line

SUBJECT_LENGTH = 250
NEUTRAL_SUBJECT = "Thank you for your interest"


@dataclass(frozen=True)
class Mail:
    """One e-mail, ready to be put into a provider's words. No header holds a line break."""

    sender: str
    to: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]


def compose(
    recipient: Recipient,
    action_config: Mapping[str, Any],
    *,
    reference: str,
    sender: str,
    templates: Mapping[str, Template],
    unsubscribe: UnsubscribeLinks | None,
) -> Mail | Skip | None:
    """The e-mail of one action: its `text`, or the tenant's template that `template_id` names.

    None when the tenant has no template of that name: it may be one of the provider's own.
    """
    link = {} if unsubscribe is None else {"unsubscribe_url": unsubscribe.link(reference)}
    if "text" in action_config:
        content: dict[str, Any] = {
            "subject": action_config.get("subject", NEUTRAL_SUBJECT),
            "text": str(action_config["text"]),
        }
    else:
        template = templates.get(str(action_config.get("template_id")))
        if template is None:
            return None
        rendered = template.render(recipient, **{"unsubscribe_url": "", **link})
        if isinstance(rendered, Skip):
            return rendered
        content = rendered
    return Mail(
        sender=one_line(str(action_config.get("from", sender)), SUBJECT_LENGTH),
        to=one_line(recipient.email or "", SUBJECT_LENGTH),
        subject=one_line(str(action_config.get("subject", content["subject"])), SUBJECT_LENGTH),
        text=content["text"],
        html=content.get("html") or html_of(content["text"]),
        headers={} if unsubscribe is None else unsubscribe.headers(reference),
    )


def html_of(text: str) -> str:
    """The text as HTML: escaped, a paragraph where a line is empty."""
    paragraphs = [escape(part.strip()).replace("\n", "<br>\n") for part in text.split("\n\n") if part.strip()]
    return "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
