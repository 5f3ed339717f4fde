"""Who is let in: signatures, algorithms, claims, keys; and what is refused at the door."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import RSAAlgorithm

from engage_pipeline.api.errors import JwtKeyMissing, JwtKeyUnfit, NoToken
from engage_pipeline.api.tokens import TokenVerifier, issue_token, make_local_secret
from engage_pipeline.clock import utc_now
from engage_pipeline.settings import Settings
from tests.integration.api.conftest import FLOWS, SECRET, Api

USER_ID = uuid4()


def issued(settings: Settings, **changes) -> str:
    given = {"user_id": USER_ID, "role": "editor", "subject": "crm", "now": utc_now(), "lasts": timedelta(hours=1)}
    return issue_token(settings, **{**given, **changes})


def claims(**changes) -> dict:
    """Claims that count, unless `changes` say otherwise; a time is written by how far it is from now."""
    now = utc_now()
    given = {
        "iss": "engage",
        "aud": "engage-api",
        "sub": "crm",
        "iat": now,
        "exp": now + timedelta(hours=1),
        "tenant_id": str(USER_ID),
        "role": "viewer",
        **changes,
    }
    moved = {name: now + value if isinstance(value, timedelta) else value for name, value in given.items()}
    return {name: value for name, value in moved.items() if value is not None}


def refused(settings: Settings, token: str) -> bool:
    try:
        TokenVerifier(settings).verify(token)
    except NoToken:
        return True
    return False


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, jwt_secret=SECRET)


def test_a_token_says_who_sends_it(settings):
    found = TokenVerifier(settings).verify(issued(settings))
    assert (found.user_id, found.role, found.subject) == (USER_ID, "editor", "crm")
    assert (found.may("viewer"), found.may("editor"), found.may("admin")) == (True, True, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"aud": "something"},
        {"exp": timedelta(minutes=-1)},
        {"iat": timedelta(hours=1)},
        {"nbf": timedelta(hours=1)},
        {"role": "owner"},
        {"tenant_id": "demo"},
        *({name: None} for name in ("iss", "aud", "sub", "iat", "exp", "tenant_id", "role")),
    ],
    ids=repr,
)
def test_a_token_with_wrong_claims_is_refused(settings, changes):
    assert refused(settings, jwt.encode(claims(**changes), SECRET, algorithm="HS256"))
    assert not refused(settings, jwt.encode(claims(), SECRET, algorithm="HS256"))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_only_the_one_algorithm_and_the_one_key_count(settings):
    assert refused(settings, jwt.encode(claims(), None, algorithm="none"))
    assert refused(settings, jwt.encode(claims(), SECRET, algorithm="HS384"))
    assert refused(settings, jwt.encode(claims(), SECRET + "!", algorithm="HS256"))
    head, body, signature = jwt.encode(claims(), SECRET, algorithm="HS256").split(".")
    assert refused(settings, f"{head}.{body}.{signature[:-4]}AAAA")
    assert refused(settings, "not a token")


def test_there_is_no_default_secret_and_a_short_one_is_refused(tmp_path):
    with pytest.raises(JwtKeyMissing):
        TokenVerifier(Settings(home=tmp_path))
    with pytest.raises(JwtKeyUnfit, match="31 bytes"):
        TokenVerifier(Settings(home=tmp_path, jwt_secret="x" * 31))
    TokenVerifier(Settings(home=tmp_path, jwt_secret="x" * 32))


def test_a_local_installation_makes_a_secret_of_its_own_once(tmp_path):
    settings = Settings(home=tmp_path)
    make_local_secret(settings)
    secret = settings.local_jwt_secret.read_bytes()
    assert (len(secret), settings.local_jwt_secret.stat().st_mode & 0o777) == (64, 0o600)
    make_local_secret(settings)
    assert settings.local_jwt_secret.read_bytes() == secret
    assert not refused(settings, issued(settings))
    other = tmp_path / "other"
    make_local_secret(Settings(home=other))
    assert (other / "jwt.secret").read_bytes() != secret
    configured = Settings(home=tmp_path / "third", jwt_secret=SECRET)
    make_local_secret(configured)
    assert not configured.local_jwt_secret.exists()


def pem_files(folder: Path, algorithm: str) -> tuple[Path, Path]:
    key = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{algorithm}.key", folder / f"{algorithm}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_public_key_checks_what_the_private_one_signed(tmp_path, algorithm):
    private, public = pem_files(tmp_path, algorithm)
    settings = Settings(home=tmp_path, jwt_algorithm=algorithm, jwt_public_key=public)
    assert TokenVerifier(settings).verify(issued(settings, private_key=private)).user_id == USER_ID
    # The public key is no secret: a token signed with it as one must not count.
    forged = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + jwt.encode(claims(), SECRET, algorithm="HS256").split(".", 1)[1]
    assert refused(settings, forged)
    with pytest.raises(JwtKeyUnfit, match="private key"):
        issued(settings)
    with pytest.raises(JwtKeyMissing):
        TokenVerifier(Settings(home=tmp_path, jwt_algorithm=algorithm))


def test_a_key_of_another_algorithm_is_refused(tmp_path):
    _, public = pem_files(tmp_path, "ES256")
    with pytest.raises(JwtKeyUnfit, match="holds no key of RS256"):
        TokenVerifier(Settings(home=tmp_path, jwt_algorithm="RS256", jwt_public_key=public))


def test_keys_may_come_from_a_key_set(tmp_path):
    key = rsa.generate_private_key(65537, 2048)
    described = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    key_set = json.dumps({"keys": [{**described, "kid": "one", "alg": "RS256", "use": "sig"}]}).encode()

    class KeySet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(key_set)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), KeySet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/keys"
        settings = Settings(home=tmp_path, jwt_algorithm="RS256", jwt_jwks_url=url)
        good = jwt.encode(claims(), key, algorithm="RS256", headers={"kid": "one"})
        assert TokenVerifier(settings).verify(good).user_id == USER_ID
        assert refused(settings, jwt.encode(claims(), key, algorithm="RS256", headers={"kid": "two"}))
        server.shutdown()
    with pytest.raises(JwtKeyUnfit, match="https"):
        TokenVerifier(Settings(home=tmp_path, jwt_algorithm="RS256", jwt_jwks_url="http://keys.example.com/"))


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer nonsense", "Basic dXNlcjpwYXNz", "bearer a.b.c"])
def test_a_request_without_a_token_that_counts_is_refused(api: Api, header):
    answer = api.client.get(FLOWS, headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-token")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_of_a_tenant_that_does_not_exist_changes_nothing(api: Api):
    token = issued(api.settings, role="admin")
    answer = api.client.post(
        FLOWS,
        json={
            "name": "x",
            "priority": 0,
            "actions": [{"action_order": 1, "action_type": "wait", "action_config": {"duration_minutes": 1}}],
        },
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "no-such-tenant")
