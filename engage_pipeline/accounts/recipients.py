"""One contact as a template sees it."""

from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import Tenant


def find_recipient(connection: Connection, tenant: Tenant, wanted: str) -> Recipient | None:
    """The tenant's newest contact with that id, phone number or e-mail address."""
    row = connection.execute(
        "select phone_e164, email, first_name, last_name, company, custom_fields, user_id from contacts"
        " where user_id = %(user_id)s and (id::text = %(wanted)s or phone_e164 = %(wanted)s"
        " or email = lower(%(wanted)s)) order by created_at desc, id desc limit 1",
        {"user_id": tenant.user_id, "wanted": wanted},
    ).fetchone()
    return None if row is None else Recipient(*row)
