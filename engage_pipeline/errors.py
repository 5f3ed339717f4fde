"""The one shape of every error a person can repair: what happened, why, and how to mend it."""


class EngageError(Exception):
    """Base of the errors that carry their own repair.

    Attributes:
        code: stable identifier, listed in docs/operations.md.
        what: what happened, and where.
        why: the cause, in one clause.
        fix: what the reader can do about it.
    """

    code = "engage-error"

    def __init__(self, *, what: str, why: str, fix: str) -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(f"{what}: {why}; {fix}")

    def as_dict(self) -> dict[str, str]:
        """The fields that the command line, the API and the Dagster log all show."""
        return {"code": self.code, "what": self.what, "why": self.why, "fix": self.fix}
