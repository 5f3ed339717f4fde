"""What keeps a channel from sending until a person has mended it, in words for a log."""

from engage_pipeline.database.connections import Connection


def alarms(connection: Connection, channel: str) -> list[str]:
    """One line for each paused account and each stopped template of the channel; empty when all is well."""
    paused = connection.execute(
        "select id from channel_accounts where channel = %s and is_active and paused_at is not null order by id",
        [channel],
    ).fetchall()
    stopped = connection.execute(
        "select stopped.template_id, users.name from stopped_templates as stopped"
        " inner join users on users.id = stopped.user_id where stopped.channel = %s order by 2, 1",
        [channel],
    ).fetchall()
    return [
        *(f"account {each} is paused; `engage accounts list` says what must be mended" for (each,) in paused),
        *(
            f"template {template_id!r} of {tenant} is stopped; `engage templates list` says what must be mended"
            for template_id, tenant in stopped
        ),
    ]
