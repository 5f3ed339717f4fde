"""What can be wrong with a channel account in a way that a person can mend."""

from collections.abc import Sequence
from pathlib import Path

from engage_pipeline.errors import EngageError


class KeyMissing(EngageError):
    """The key that the stored credentials need is not that of this installation."""

    code = "wrong-credential-key"

    def __init__(self, path: Path, *, account_id: object) -> None:
        super().__init__(
            what=f"the credentials of the account {account_id} cannot be decrypted",
            why=f"{path} is not the key that they were stored under",
            fix="put the key file of that installation there, or add the account again",
        )


class NoAccount(EngageError):
    """There is no account of that id."""

    code = "no-account"

    def __init__(self, account_id: object) -> None:
        super().__init__(
            what=f"there is no account {account_id}",
            why="no tenant has a channel account of that id",
            fix="use an id from `engage accounts list`",
        )


class InvalidAccount(EngageError):
    """An account cannot be added as it was described."""

    code = "invalid-account"

    def __init__(self, provider: str, *, why: str, fix: str, deed: str = "added") -> None:
        super().__init__(what=f"the {provider} account was not {deed}", why=why, fix=fix)


class NoTemplate(EngageError):
    """There is no template of that name."""

    code = "no-template"

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        super().__init__(
            what=f"there is no template {name!r}",
            why="no template of that name was applied for the tenant",
            fix=f"use one of: {', '.join(known)}" if known else "run `engage templates apply FILE` first",
        )
