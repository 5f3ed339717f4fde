"""Another tenant with one of everything, for tests that must not find any of it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.integration.api.conftest import FLOWS, Api, flow

WORD = "Zanzibar"
"""Stands in every text of the other tenant, and nowhere else."""


@dataclass
class Theirs:
    """What the other tenant has. `ids` fit the parameters of paths; `words` must not be seen.

    Attributes:
        of_no_tenant: paths whose parameter is nobody's, such as the name of a mart.
        needs: path -> what a GET of it must carry.
        makes: (method, path) of what makes a thing of one's own under a name that others may have, too.
        empty: path -> statuses that a GET may answer besides 200.
    """

    api: Api
    user_id: UUID
    ids: dict[str, str]
    words: list[str]
    of_no_tenant: frozenset[str] = frozenset({"/api/statistics/{mart}", "/api/exports/{mart}"})
    needs: dict[str, Any] = field(default_factory=dict)
    empty: dict[str, tuple[int, ...]] = field(default_factory=dict)
    makes: frozenset[tuple[str, str]] = frozenset({("put", "/api/templates/{channel}/{name}")})
    before: Any = None

    def snapshot(self) -> Any:
        """Everything of the tenant that a request could have changed."""
        return [
            self.api.connection.execute(statement, [self.user_id]).fetchall()
            for statement in (
                "select * from auto_engagement_flows where user_id = %s order by id",
                "select * from contacts where user_id = %s order by id",
                "select * from flow_executions where user_id = %s order by id",
                "select * from flow_action_logs where user_id = %s order by id",
                "select * from suppressions where user_id = %s order by 2, 3",
                "select * from pauses where user_id = %s order by id",
                "select * from message_templates where user_id = %s order by 2, 3, 4",
                "select * from lead_uploads where user_id = %s order by id",
            )
        ]

    def row_count(self, table: str) -> Any:
        """How many rows of the table are the tenant's, as the owner counts."""
        conditions = {
            "users": "id = %(user)s",
            "flow_versions": "flow_id in (select id from auto_engagement_flows where user_id = %(user)s)",
            "flow_trigger_conditions": "flow_id in (select id from auto_engagement_flows where user_id = %(user)s)",
            "flow_actions": "flow_id in (select id from auto_engagement_flows where user_id = %(user)s)",
            "rejected_rows": "upload_id in (select id from lead_uploads where user_id = %(user)s)",
            "micro_batches": "id in (select micro_batch_id from contacts where user_id = %(user)s)"
            " or id in (select micro_batch_id from flow_action_logs where user_id = %(user)s)",
            "pauses": "user_id = %(user)s or user_id is null",
        }
        condition = conditions.get(table, "user_id = %(user)s")
        return self.api.connection.execute(
            f"select count(*) from {table} where {condition}", {"user": self.user_id}
        ).fetchone()


def make_theirs(api: Api) -> Theirs:
    """The tenant `other`, with one of everything; and `acme`, which has nothing."""
    api.tenant("acme")
    user_id = api.tenant("other").user_id
    connection = api.connection
    flow_id = api.new_flow(f"{WORD} flow", 0, tenant="other")
    contact_id = api.new_contact(f"{WORD.lower()}@example.com", tenant="other")
    connection.execute("update contacts set first_name = %s where id = %s", [WORD, contact_id])
    execution_id = api.new_execution(flow_id, contact_id, tenant="other")
    [(log_id,)] = connection.execute(
        "select id from flow_action_logs where execution_id = %s", [execution_id]
    ).fetchall()
    [(batch_id,)] = connection.execute(
        "with batch as (insert into micro_batches (kind, status, item_count) values ('new_contacts', 'failed', 1)"
        " returning id), held as (update contacts set micro_batch_id = batch.id from batch where contacts.id = %s)"
        " select id from batch",
        [contact_id],
    ).fetchall()
    [(upload_id,)] = connection.execute(
        "insert into lead_uploads (user_id, file_name, inbox_path, status, rows_read, rows_rejected, rows_held, format)"
        " values (%s, %s, %s, 'held', 2, 1, 1, '{\"headers\": [\"email\"]}') returning id",
        [user_id, f"{WORD}.csv", f"other/{WORD}.csv"],
    ).fetchall()
    connection.execute(
        "insert into rejected_rows (upload_id, line_number, raw_row, reason_code, reason)"
        " values (%s, 2, %s, 'invalid_email', 'not valid')",
        [upload_id, f'["{WORD}"]'],
    )
    connection.execute(
        "insert into suppressions (user_id, channel, address, source) values (%s, 'email', %s, 'test')",
        [user_id, f"{WORD.lower()}2@example.com"],
    )
    connection.execute("insert into pauses (user_id, channel, reason) values (%s, 'ai_call', %s)", [user_id, WORD])
    connection.execute(
        "insert into message_templates (user_id, channel, name, version, content)"
        ' values (%s, \'email\', %s, 1, \'{"subject": "Hello", "text": "Hello"}\')',
        [user_id, WORD],
    )
    ids = {
        "flow_id": flow_id,
        "contact_id": contact_id,
        "execution_id": execution_id,
        "action_log_id": log_id,
        "batch_id": batch_id,
        "upload_id": upload_id,
        "name": WORD,
        "channel": "email",
    }
    theirs = Theirs(
        api,
        user_id,
        {name: str(value) for name, value in ids.items()},
        [WORD, WORD.lower(), *(str(value) for name, value in ids.items() if name not in ("name", "channel"))],
    )
    theirs.before = theirs.snapshot()
    return theirs


def bodies(theirs: Theirs) -> dict[tuple[str, str], dict[str, Any]]:
    """(method, path) -> the body of a request that would be right for whoever owns the ids."""
    patch = {"json": {"description": "changed"}}
    return {
        ("post", "/api/contacts/{contact_id}/tags"): {"json": {"add": ["new"]}},
        ("post", "/api/templates/{channel}/{name}/preview"): {"json": {"contact": theirs.ids["contact_id"]}},
        ("put", "/api/templates/{channel}/{name}"): {"json": {"content": {"subject": "Mine", "text": "Mine"}}},
        ("post", f"{FLOWS}/{{flow_id}}/test-runs"): {"json": {"contact_id": theirs.ids["contact_id"]}},
        ("post", "/api/auto-engagement/action-logs/{action_log_id}/resolve"): {"json": {"outcome": "delivered"}},
        ("post", FLOWS): {"json": flow("Mine", 7)},
        ("patch", f"{FLOWS}/{{flow_id}}"): patch,
        ("put", f"{FLOWS}/{{flow_id}}/conditions"): {"json": {"conditions": []}},
        ("put", f"{FLOWS}/{{flow_id}}/actions"): {"json": {"actions": flow()["actions"]}},
        ("post", f"{FLOWS}/priorities/bulk-update"): {
            "json": {"priorities": [{"id": theirs.ids["flow_id"], "priority": 3}]}
        },
    }
