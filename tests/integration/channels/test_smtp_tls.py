"""A live account's SMTP server is spoken to over TLS with a trusted certificate, or not at all."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from engage_pipeline.channels import smtp
from engage_pipeline.channels.answers import Accepted, TryLater
from engage_pipeline.channels.http import open_client
from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.channels.sandbox.serve import listen
from engage_pipeline.channels.smtp import SmtpEmails, SmtpServer

REFERENCE = "3f2b8a52-6a0f-4f53-9f0e-2f6f0b3f4d11"
PASSWORD = "planted-password"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that has signed itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + signed.public_bytes(Encoding.PEM))
    return path


class Mailbox:
    """What a server received, and whether over TLS."""

    def __init__(self):
        self.over_tls, self.logins = [], []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.over_tls.append(session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None)
        return "250 OK"

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@pytest.fixture
def serve(certificate):
    """Starts a server: `starttls`, `implicit`, or `plain` without any TLS; gives its mailbox and port."""
    controllers = []

    def start(kind, **options):
        mailbox = Mailbox()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        with listen(0) as free:
            port = free.getsockname()[1]
        by_kind = {
            "starttls": {"tls_context": context, "require_starttls": True},
            "implicit": {"ssl_context": context},
            "plain": {},
        }
        controller = Controller(mailbox, hostname="127.0.0.1", port=port, **by_kind[kind], **options)
        controller.start()
        controllers.append(controller)
        return mailbox, port

    yield start
    for controller in controllers:
        controller.stop()


async def send(port, *, username="", password="", host="127.0.0.1"):
    channel = SmtpEmails(SmtpServer(host, port, username, password, is_live=True), "Acme <hello@example.com>")
    config = {"text": "Hello", "subject": "Hello"}
    request = channel.prepare(Recipient(email="asha@example.com"), config, reference=REFERENCE)
    async with open_client(connections=1, queue_seconds=1, connect_seconds=1, answer_seconds=1) as client:
        return await channel.send(client, request, reference=REFERENCE)


@pytest.fixture(params=["starttls", "implicit"])
def kind(request):
    return request.param


def choose(monkeypatch, kind, port):
    """Ports that tests may not listen on stand for TLS from the first byte: another one takes their place."""
    if kind == "implicit":
        monkeypatch.setattr(smtp, "_IMPLICIT_TLS_PORT", port)


async def test_over_tls_with_a_trusted_certificate_an_email_is_handed_over(serve, kind, certificate, monkeypatch):
    mailbox, port = serve(kind)
    choose(monkeypatch, kind, port)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert await send(port) == Accepted(REFERENCE, is_final=True)
    assert mailbox.over_tls == [True]


async def test_a_certificate_that_is_not_trusted_pauses_the_account_and_sends_nothing(serve, kind, monkeypatch):
    mailbox, port = serve(kind)
    choose(monkeypatch, kind, port)
    answer = await send(port)
    assert isinstance(answer, TryLater) and "not trusted" in answer.pauses_account
    assert mailbox.over_tls == []


async def test_a_server_without_tls_gets_neither_the_password_nor_the_message(serve):
    mailbox, port = serve("plain", authenticator=Mailbox().authenticate, auth_require_tls=False)
    answer = await send(port, username="engage", password=PASSWORD)
    assert isinstance(answer, TryLater) and "no TLS" in answer.pauses_account
    assert (mailbox.over_tls, mailbox.logins) == ([], [])


async def test_the_login_goes_over_tls_and_a_refused_one_pauses_the_account(serve, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    logins = Mailbox()
    mailbox, port = serve("starttls", authenticator=logins.authenticate)
    assert isinstance(await send(port, username="engage", password=PASSWORD), Accepted)
    assert logins.logins == [(b"engage", PASSWORD.encode())]
    answer = await send(port, username="engage", password="wrong")
    assert isinstance(answer, TryLater) and "login" in answer.pauses_account
    assert "wrong" not in repr(answer)
    assert len(mailbox.over_tls) == 1


async def test_a_server_that_is_away_is_only_waited_for():
    answer = await send(1)
    assert isinstance(answer, TryLater) and answer.pauses_account is None
