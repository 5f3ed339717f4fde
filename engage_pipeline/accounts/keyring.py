"""The installation's key: what credentials are encrypted under, and what links are signed with. It never leaves its
file."""

import hashlib
import hmac
import json
from collections.abc import Mapping

from cryptography.fernet import Fernet, InvalidToken

from engage_pipeline.accounts.errors import KeyMissing
from engage_pipeline.secret_file import read_or_make
from engage_pipeline.settings import Settings


class Keyring:
    """The key in `<home>/credentials.key`, made at first use, readable by its owner alone."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.home / "credentials.key"
        self._key = read_or_make(self._path, Fernet.generate_key)
        self._fernet = Fernet(self._key)

    def seal(self, credentials: Mapping[str, str]) -> bytes:
        """`credentials`, encrypted and authenticated."""
        return self._fernet.encrypt(json.dumps(dict(credentials)).encode())

    def open(self, sealed: bytes, *, account_id: object) -> dict[str, str]:
        """What `seal` was given.

        Raises:
            KeyMissing: it was sealed under another key.
        """
        try:
            credentials: dict[str, str] = json.loads(self._fernet.decrypt(bytes(sealed)))
        except InvalidToken as error:
            raise KeyMissing(self._path, account_id=account_id) from error
        return credentials

    def derived(self, purpose: str) -> bytes:
        """A key of its own for another purpose."""
        return hmac.new(self._key, purpose.encode(), hashlib.sha256).digest()
