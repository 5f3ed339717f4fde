"""What can keep a local installation from running."""

from pathlib import Path

from engage_pipeline.errors import EngageError


class AlreadyRunning(EngageError):
    """Another `engage dev` or `engage demo` holds this data directory."""

    code = "already-running"

    def __init__(self, home: Path) -> None:
        super().__init__(
            what=f"the installation in {home} is already running",
            why="another `engage dev` or `engage demo` has not ended",
            fix="upload to the running one with `engage upload FILE`, or end it with Ctrl-C first",
        )


class ServiceFailed(EngageError):
    """A process of the stack ended or never answered."""

    code = "service-failed"

    def __init__(self, name: str, *, reason: str, log: Path) -> None:
        super().__init__(what=f"{name} {reason}", why="its log says why", fix=f"read the end of {log}")


class PortTaken(EngageError):
    """The port of the Dagster UI is in use."""

    code = "port-taken"

    def __init__(self, port: int) -> None:
        super().__init__(
            what=f"port {port} of 127.0.0.1 is in use",
            why="another program listens there",
            fix="end that program, or set ENGAGE_DAGSTER_PORT to a free port",
        )


class DemoStalled(EngageError):
    """Nothing moved for a long time."""

    code = "demo-stalled"

    def __init__(self, *, seconds: float, doing: str, logs: Path) -> None:
        super().__init__(
            what=f"nothing moved for {seconds:.0f} seconds",
            why=f"the pipeline was {doing}",
            fix=f"read the logs in {logs}, then run the same command again: it goes on where it stopped",
        )


class UploadRefused(EngageError):
    """The lead file could not be read with certainty."""

    def __init__(self, *, code: str, file_name: str, reason: str) -> None:
        self.code = code
        super().__init__(
            what=f"{file_name} was refused as a whole, and nothing of it was loaded",
            why=reason,
            fix="mend the file and upload it again; it now lies in the folder `refused` with its report",
        )


class BooksDoNotBalance(EngageError):
    """Something was lost, done twice, or done without a record."""

    code = "books-do-not-balance"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(
            what="the books do not balance",
            why="; ".join(problems),
            fix="`engage books` shows the sums; keep the data directory, it is the evidence",
        )
