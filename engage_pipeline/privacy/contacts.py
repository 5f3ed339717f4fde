"""Contacts as the command line shows them: found by what a person is known by, and all that is known of one."""

from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.tenants import list_tenants
from engage_pipeline.intake.emails import email_address
from engage_pipeline.intake.phones import phone_e164
from engage_pipeline.matching.explain import NoContact

_HERE = Path(__file__).parent


def find_contacts(connection: Connection, text: str, *, at_most: int) -> list[dict[str, Any]]:
    """Contacts of all tenants with this phone number (in any spelling), e-mail address, id of theirs, or name.

    Each with contact_id, tenant_name, first_name, last_name, phone_e164, email and created_at; the newest first.
    """
    phones = {phone_e164(text, tenant.default_phone_region) for tenant in list_tenants(connection)} - {None}
    asked = {
        "text": text.strip(),
        "phones": sorted(phone for phone in phones if phone),
        "email": email_address(text),
        "at_most": at_most,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(load_statement(_HERE, "find_contacts"), asked).fetchall()


def contacts_known_by(
    connection: Connection,
    user_id: UUID,
    *,
    phone_e164: str | None,
    email: str | None,
    external_id: str | None,
    source_system: str,
    at_most: int,
) -> list[dict[str, Any]]:
    """The tenant's contacts that any of these names: id, first_name, last_name, phone_e164, email, external_id and
    created_at, the newest first."""
    asked = {
        "user_id": user_id,
        "phone_e164": phone_e164,
        "email": email,
        "external_id": external_id,
        "source_system": source_system,
        "at_most": at_most,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(load_statement(_HERE, "contacts_known_by"), asked).fetchall()


def show_contact(
    connection: Connection, contact_id: UUID, *, user_id: UUID | None = None, with_actions: bool = True
) -> dict[str, Any]:
    """All columns of one contact, its suppressed addresses by channel, and its executions with their action logs.

    Args:
        user_id: the tenant that it must belong to; None: whichever.
        with_actions: also `actions`, its action logs.

    Raises:
        NoContact: there is none of that id.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        contact = cursor.execute(
            load_statement(_HERE, "show_contact"), {"contact_id": contact_id, "user_id": user_id}
        ).fetchone()
        if contact is None:
            raise NoContact
        if not with_actions:
            return contact
        actions = cursor.execute(load_statement(_HERE, "actions_of_contact"), {"contact_id": contact_id}).fetchall()
    return {**contact, "actions": actions}


def contact_of_execution(connection: Connection, contact_id: UUID) -> dict[str, Any]:
    """Who is engaged: id, first_name, last_name, phone_e164, email.

    Raises:
        NoContact: there is none of that id.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        contact = cursor.execute(
            "select id, first_name, last_name, phone_e164, email from contacts where id = %s", [contact_id]
        ).fetchone()
    if contact is None:
        raise NoContact
    return contact
