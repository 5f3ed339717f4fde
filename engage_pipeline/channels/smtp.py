"""E-mails over SMTP (RFC 5321), by aiosmtplib. A server that took a message says nothing of it later.

The stored request is the whole message, so that a repeated attempt is the same to the byte.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from ipaddress import ip_address
from typing import Any, ClassVar

import aiosmtplib

from engage_pipeline.channels.account import Account
from engage_pipeline.channels.answers import Accepted, Answer, ProviderOutcome, Refused, TryLater, Unknown
from engage_pipeline.channels.http import NotLoopback
from engage_pipeline.channels.mail import compose
from engage_pipeline.channels.protocol import Client, Recipient, Request, Skip
from engage_pipeline.channels.provider import Provider
from engage_pipeline.channels.templates import Template
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks
from engage_pipeline.masking import mask_personal

_SECONDS = 10.0
_IMPLICIT_TLS_PORT = 465  # RFC 8314, 3.3; on every other port STARTTLS is demanded of a live account's server
_REASON_LENGTH = 300


@dataclass(frozen=True)
class SmtpServer:
    """Where messages are handed over. Without `is_live` only a loopback address is connected to."""

    host: str
    port: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    is_live: bool = False

    def refuse_other_machines(self) -> None:
        """Raises NotLoopback for a sandbox account whose server is not on this machine."""
        try:
            is_here = ip_address(self.host).is_loopback
        except ValueError:
            is_here = False
        if not self.is_live and not is_here:
            raise NotLoopback(f"smtp://{self.host}")


@dataclass(frozen=True)
class SmtpEmails:
    """E-mails from `sender`, "name <address>", unless the action names its own."""

    server: SmtpServer
    sender: str
    templates: Mapping[str, Template] = field(default_factory=dict)
    unsubscribe: UnsubscribeLinks | None = None
    action_type: ClassVar[str] = "email"
    look_up_repeats: ClassVar[bool] = False
    reports_outcomes: ClassVar[bool] = False

    def address(self, recipient: Recipient) -> str | None:
        """The e-mail address."""
        return recipient.email

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request | Skip:
        """Envelope and message. There is no provider whose template it could be, so the tenant must have it."""
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
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"], message["Subject"] = mail.sender, mail.to, mail.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        domain = parseaddr(mail.sender)[1].rpartition("@")[2] or "localhost"
        message["Message-ID"] = f"<{reference}@{domain}>"
        for name, value in mail.headers.items():
            message[name] = value
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        boundary = f"engage-{reference}"
        message.set_boundary(boundary)
        return {"from": parseaddr(mail.sender)[1], "to": mail.to, "message": message.as_string()}

    async def send(self, client: Client, request: Request, *, reference: str) -> Answer:
        """Hand the message over. What fails before the message is sent is safe to repeat; after it, nobody knows."""
        self.server.refuse_other_machines()
        smtp = aiosmtplib.SMTP(
            hostname=self.server.host,
            port=self.server.port,
            timeout=_SECONDS,
            use_tls=self.server.is_live and self.server.port == _IMPLICIT_TLS_PORT,
            start_tls=True if self.server.is_live and self.server.port != _IMPLICIT_TLS_PORT else None,
        )
        try:
            await smtp.connect()
            if self.server.username:
                await smtp.login(self.server.username, self.server.password)
            await smtp.mail(request["from"])
            await smtp.rcpt(request["to"])
        except aiosmtplib.SMTPAuthenticationError as error:
            return TryLater(_words(error), pauses_account=f"the SMTP server refuses the login ({error.code})")
        except aiosmtplib.SMTPResponseException as error:
            return _refusal(error)
        except (aiosmtplib.SMTPException, OSError) as error:
            return _before_sending(error)
        try:
            await smtp.data(request["message"].encode())
        except aiosmtplib.SMTPResponseException as error:
            return _refusal(error)
        except (aiosmtplib.SMTPException, OSError) as error:
            return Unknown(f"the SMTP server did not confirm the message ({type(error).__name__})")
        finally:
            smtp.close()
        return Accepted(reference, is_final=True)

    async def look_up(self, client: Client, request: Request, *, reference: str, sent_at: datetime) -> Answer:
        """Unknown: an SMTP server cannot be asked."""
        return Unknown("an SMTP server cannot be asked what became of a message")

    async def ask_outcome(
        self, client: Client, request: Request, *, provider_message_id: str
    ) -> ProviderOutcome | TryLater | None:
        """None: an SMTP server cannot be asked."""
        return None

    async def stated_concurrency(self, client: Client) -> int | None:
        """None: there is no such limit."""
        return None

    async def stop(self, client: Client, request: Request, *, provider_message_id: str) -> bool:
        """False: what was sent is not taken back."""
        return False


def _before_sending(error: Exception) -> TryLater:
    """Nothing was sent. A server without TLS or login, or whose certificate is not trusted, is a person's to mend."""
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        words = f"the SMTP server's certificate is not trusted ({cause.verify_message})"
        return TryLater(words, pauses_account=words)
    # aiosmtplib has no type of its own for a server without STARTTLS.
    if type(error) is aiosmtplib.SMTPException or isinstance(error, aiosmtplib.SMTPNotSupported):
        words = "the SMTP server offers no TLS, or no login that we know"
        return TryLater(words, pauses_account=words)
    return TryLater(f"no connection to the SMTP server ({type(error).__name__})")


def _refusal(error: aiosmtplib.SMTPResponseException) -> Answer:
    """4xx is for now, 5xx for good (RFC 5321, 4.2.1); a mailbox that does not exist (RFC 3463, 5.1.1) is a no."""
    if 400 <= error.code < 500:
        return TryLater(_words(error))
    return Refused(str(error.code), _words(error), is_opt_out=error.message.startswith("5.1.1"))


def _words(error: aiosmtplib.SMTPResponseException) -> str:
    masked = mask_personal(f"{error.code} {error.message}")[:_REASON_LENGTH]
    return "".join(character if character.isprintable() else " " for character in masked)


def _open(account: Account) -> SmtpEmails:
    credentials, settings = account.credentials, account.settings
    server = SmtpServer(
        str(settings["host"]),
        int(settings["port"]),
        credentials.get("username", ""),
        credentials.get("password", ""),
        account.mode == "live",
    )
    return SmtpEmails(
        server, sender=str(settings["sender"]), templates=account.templates, unsubscribe=account.unsubscribe
    )


PROVIDER = Provider(
    name="smtp",
    action_type="email",
    live_url=None,
    open_channel=_open,
    webhooks=None,
    credentials=("username", "password"),
    settings=("host", "port", "sender"),
    requests_per_second=5,
)
