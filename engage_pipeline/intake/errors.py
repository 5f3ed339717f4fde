"""What a person can mend about a lead file."""

from collections.abc import Sequence
from pathlib import Path

from engage_pipeline.errors import EngageError


class FileRefused(EngageError):
    """A lead file cannot be read as a whole, so nothing of it is loaded.

    Attributes:
        refusal_code: the reason in one stable word, kept in `lead_uploads.refusal_code`.
    """

    code = "file-refused"

    def __init__(self, refusal_code: str, *, what: str, why: str, fix: str) -> None:
        self.refusal_code = refusal_code
        super().__init__(what=what, why=why, fix=fix)

    def as_dict(self) -> dict[str, str]:
        return {**super().as_dict(), "refusal_code": self.refusal_code}


class NoRejectedRows(EngageError):
    """The rejected rows of an upload were asked for, and it has none."""

    code = "no-rejected-rows"

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            what=f"upload {upload_id} has no rejected rows",
            why="every row of it is a contact, nothing of it was loaded, or what the rows said was cleared since",
            fix=f"see its books: engage uploads show {upload_id}",
        )


class NothingToTry(EngageError):
    """A file was to be tried, and it would make no contact."""

    code = "nothing-to-try"

    def __init__(self, file_name: str, refusal: str | None) -> None:
        super().__init__(
            what=f"{file_name} would not be loaded",
            why=refusal or "the same file has been loaded before",
            fix="mend the file" if refusal else "take the contacts that it made: engage simulate --recent DAYS",
        )


class NotHeld(EngageError):
    """An upload was to be released or discarded, and it is not held."""

    code = "not-held"

    def __init__(self, upload_id: str, status: str) -> None:
        super().__init__(
            what=f"upload {upload_id} is {status}, not held",
            why="only an upload with more rejected rows than its tenant allows waits for a decision",
            fix="see which uploads are held: engage uploads list",
        )


class HeldFileMissing(EngageError):
    """The file of a held upload was taken away, so it cannot be loaded."""

    code = "held-file-missing"

    def __init__(self, upload_id: str, place: Path) -> None:
        super().__init__(
            what=f"the file of the held upload {upload_id} is gone",
            why=f"it is not at {place}",
            fix=f"put it back, or discard the upload and upload the file again: engage uploads discard {upload_id}",
        )


class NoUpload(EngageError):
    """An upload was named that does not exist."""

    code = "no-upload"

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            what=f"there is no upload {upload_id}",
            why="a file has an id from the moment a sensor notices it in the inbox",
            fix="run `engage uploads list` to see the ids",
        )


class InvalidMapping(EngageError):
    """A saved mapping of columns is no YAML, or says what cannot be.

    Attributes:
        complaints: what is wrong, one for each place.
    """

    code = "invalid-mapping"

    def __init__(self, file_name: str, complaints: Sequence[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__(
            what=f"the mapping {file_name} cannot be used",
            why="; ".join(complaints),
            fix="write it as docs/uploads.md shows",
        )


class SuppressionKeyMissing(EngageError):
    """Forgotten people are known by hashes of another key than the one that is here."""

    code = "suppression-key-missing"

    def __init__(self, path: str) -> None:
        super().__init__(
            what="nobody can tell whether the leads are people who asked to be forgotten",
            why=f"the suppression list was hashed with another key than the one in {path}",
            fix="put the installation's own suppression.key back, from its backup",
        )
