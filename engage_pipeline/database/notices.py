"""Waiting for work instead of asking for it every few seconds: LISTEN, for what a trigger announces by NOTIFY."""

import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar, get_args

from psycopg import sql

from engage_pipeline.database.connections import Connection

Channel = Literal["lead_uploads", "new_contacts", "due_actions"]

Found = TypeVar("Found")

_END = "end"


def await_work(
    connection: Connection,
    channel: Channel,
    look: Callable[[], Sequence[Found]],
    *,
    seconds: float,
    pause: Callable[[], float],
) -> Sequence[Found]:
    """What `look` finds: at once when there is something, else as soon as a notice or a pause brings something.

    Args:
        connection: in autocommit, or no notice would arrive.
        seconds: how long to wait at the most; with 0 it looks once.
        pause: after how many seconds to look again although nobody gave notice.
    """
    deadline = time.monotonic() + seconds
    # Before the first look: what is committed after it is announced, what was committed before it is seen.
    connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
    while not (found := look()):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        for notice in connection.notifies(timeout=max(0.0, min(remaining, pause())), stop_after=1):
            if notice.payload == _END:
                return found
    return found


def end_waits(connection: Connection) -> None:
    """Whoever waits for work stops waiting, because Dagster is about to be stopped and would wait for its ticks."""
    for channel in get_args(Channel):
        connection.execute("select pg_notify(%s, %s)", [channel, _END])
