"""POSTs with an Idempotency-Key: carried out once, answered the same way every time.

The key is written in the transaction that does the work and together with its answer, so a crash leaves both or
neither, and of two requests at once the second waits for the first.
"""

import hashlib
from collections.abc import Callable

from psycopg.types.json import Jsonb

from engage_pipeline.api.answers import Answer
from engage_pipeline.api.errors import KeyReused
from engage_pipeline.api.sessions import Session

REPLAYED = {"Idempotency-Replayed": "true"}


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """What tells one request from another."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).digest()


def once(session: Session, key: str, request_sha256: bytes, work: Callable[[], Answer]) -> Answer:
    """The answer of `work`, or the one that it gave when the key came first.

    Raises:
        KeyReused: the key came with another request.
        NoSuchTenant: the token names a tenant that does not exist.
    """
    asked = {"user_id": session.tenant.user_id, "key": key, "request_sha256": request_sha256}
    is_first = session.connection.execute(
        "insert into idempotency_keys (user_id, key, request_sha256)"
        " values (%(user_id)s, %(key)s, %(request_sha256)s) on conflict (user_id, key) do nothing",
        asked,
    ).rowcount
    if not is_first:
        return _kept(session, asked)
    answer = work()
    session.connection.execute(
        "update idempotency_keys set status = %(status)s, headers = %(headers)s, body = %(body)s"
        " where user_id = %(user_id)s and key = %(key)s",
        {**asked, "status": answer.status, "headers": Jsonb(dict(answer.headers)), "body": answer.body},
    )
    return answer


def _kept(session: Session, asked: dict[str, object]) -> Answer:
    row = session.connection.execute(
        "select request_sha256, status, headers, body from idempotency_keys"
        " where user_id = %(user_id)s and key = %(key)s",
        asked,
    ).fetchone()
    assert row is not None  # noqa: S101 - the insert met it, and it is committed
    request_sha256, status, headers, body = row
    if request_sha256 != asked["request_sha256"]:
        raise KeyReused
    return Answer(status, body, {**headers, **REPLAYED})
