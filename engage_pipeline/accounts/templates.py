"""Message templates in the database: saved as versions that never change, the newest in force."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import yaml
from psycopg.types.json import Jsonb

from engage_pipeline.accounts.errors import NoTemplate
from engage_pipeline.accounts.stopped import resume_templates
from engage_pipeline.channels.templates import InvalidTemplate, Template
from engage_pipeline.database.connections import Connection


class SavedTemplate(NamedTuple):
    """A template with the time its version was saved."""

    template: Template
    created_at: datetime


def read_template_file(path: Path) -> tuple[str, list[Template]]:
    """Tenant and templates of a YAML file, each checked.

    Raises:
        InvalidTemplate: the file is no such YAML, or a template breaks a rule.
    """
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
        tenant, listed = str(described["tenant"]), list(described["templates"])
        templates = [_template(entry) for entry in listed]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InvalidTemplate(
            path.name,
            why=f"the file cannot be read ({type(error).__name__}: {error})",
            fix="write tenant: and a list templates: with name, channel and the parts of each",
        ) from error
    for template in templates:
        template.check()
    return tenant, templates


def save_templates(connection: Connection, user_id: UUID, templates: Sequence[Template]) -> list[Template]:
    """A new version of each template that differs from its newest one; gives those that were saved.

    Raises:
        InvalidTemplate: a template breaks a rule; nothing is saved.
    """
    for template in templates:
        template.check()
    saved = []
    with connection.transaction():
        connection.execute("select 1 from users where id = %s for update", [user_id])
        newest = {
            (each.template.channel, each.template.name): each.template for each in list_saved(connection, user_id)
        }
        for template in templates:
            before = newest.get((template.channel, template.name))
            if before and (before.content, before.defaults) == (template.content, template.defaults):
                continue
            version = before.version + 1 if before else 1
            connection.execute(
                "insert into message_templates (user_id, channel, name, version, content, defaults)"
                " values (%s, %s, %s, %s, %s, %s)",
                [
                    user_id,
                    template.channel,
                    template.name,
                    version,
                    Jsonb(dict(template.content)),
                    Jsonb(dict(template.defaults)),
                ],
            )
            # What was refused is not what will be sent from now on.
            resume_templates(connection, user_id, template_id=template.name, channel=template.channel)
            saved.append(Template(template.name, template.channel, template.content, template.defaults, version))
    return saved


def list_saved(connection: Connection, user_id: UUID) -> list[SavedTemplate]:
    """The newest version of each of the tenant's templates, by channel and name."""
    rows = connection.execute(
        "select distinct on (channel, name) name, channel, content, defaults, version, created_at"
        " from message_templates where user_id = %s order by channel, name, version desc",
        [user_id],
    ).fetchall()
    return [SavedTemplate(Template(*row[:5]), row[5]) for row in rows]


def find_template(
    connection: Connection, user_id: UUID, name: str, *, channel: str | None = None, version: int | None = None
) -> Template:
    """One template, in its newest version unless another is asked for.

    Raises:
        NoTemplate: the tenant has none of that name, channel and version.
    """
    row = connection.execute(
        "select name, channel, content, defaults, version from message_templates where user_id = %(user_id)s"
        " and name = %(name)s and (%(channel)s::text is null or channel = %(channel)s)"
        " and (%(version)s::int is null or version = %(version)s) order by version desc limit 1",
        {"user_id": user_id, "name": name, "channel": channel, "version": version},
    ).fetchone()
    if row is None:
        raise NoTemplate(name, known=[saved.template.name for saved in list_saved(connection, user_id)])
    return Template(*row)


def templates_in_force(connection: Connection) -> Mapping[tuple[UUID, str], Mapping[str, Template]]:
    """By tenant and channel, the newest version of every template by its name."""
    rows = connection.execute(
        "select distinct on (user_id, channel, name) user_id, name, channel, content, defaults, version"
        " from message_templates order by user_id, channel, name, version desc"
    ).fetchall()
    found: dict[tuple[UUID, str], dict[str, Template]] = defaultdict(dict)
    for user_id, *columns in rows:
        template = Template(*columns)
        found[user_id, template.channel][template.name] = template
    return found


def _template(entry: Mapping[str, Any]) -> Template:
    content = {name: value for name, value in entry.items() if name not in ("name", "channel", "defaults", "template")}
    # What Meta calls a template's name is a part of ours: by default it is the same.
    if entry["channel"] == "whatsapp_message":
        content = {"name": str(entry.get("template", entry["name"])), "language": "en_US", **content}
    defaults = {str(name): str(value) for name, value in (entry.get("defaults") or {}).items()}
    return Template(str(entry["name"]), str(entry["channel"]), content, defaults)
