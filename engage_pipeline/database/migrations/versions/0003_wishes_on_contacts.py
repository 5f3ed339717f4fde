"""Wishes on contacts: a no to a channel stays with the contact, and takes every address that the contact gets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


# Whatever writes a contact, its addresses are suppressed in the same transaction: those it has, and those it had until
# this very update, as the wish is the person's. An older wish for the same address stands.
SUPPRESS_ADDRESSES_OF_CONTACT = """
create function engage_suppress_addresses_of_contact() returns trigger
language plpgsql as $$
begin
    insert into suppressions (user_id, channel, address, source)
    select new.user_id, wish.channel, held.address, 'contact'
    from unnest(
        case
            when new.is_dnc then array['ai_call', 'whatsapp_message', 'email']
            else new.suppressed_channels
        end
    ) as wish (channel)
    cross join lateral unnest(
        case
            when wish.channel = 'email' then array[new.email, case when tg_op = 'UPDATE' then old.email end]
            else array[new.phone_e164, case when tg_op = 'UPDATE' then old.phone_e164 end]
        end
    ) as held (address)
    where held.address is not null
    on conflict do nothing;
    return null;
end
$$
"""

TRIGGER = """
create trigger suppress_addresses_of_contact
after insert or update of phone_e164, email, tags, suppressed_channels on contacts
for each row when (new.is_dnc or new.suppressed_channels <> '{}')
execute function engage_suppress_addresses_of_contact()
"""


def upgrade() -> None:
    op.add_column(
        "contacts",
        sa.Column(
            "suppressed_channels",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'::text[]"),
            nullable=False,
            comment="channels that the contact said no to, whatever its address",
        ),
    )
    op.create_check_constraint(
        op.f("ck_contacts_suppressed_channels"),
        "contacts",
        "suppressed_channels <@ array['ai_call', 'whatsapp_message', 'email']",
    )
    op.add_column(
        "lead_uploads",
        sa.Column(
            "findings",
            postgresql.JSONB(),
            nullable=True,
            comment="what the load found besides its books: see UploadFindings",
        ),
    )
    op.execute(SUPPRESS_ADDRESSES_OF_CONTACT)
    op.execute(TRIGGER)
    # Contacts that carried a do-not-contact tag before the trigger was there.
    op.execute("update contacts set tags = tags where is_dnc")


def downgrade() -> None:
    op.execute("drop trigger suppress_addresses_of_contact on contacts")
    op.execute("drop function engage_suppress_addresses_of_contact()")
    op.drop_column("lead_uploads", "findings")
    op.drop_constraint(op.f("ck_contacts_suppressed_channels"), "contacts")
    op.drop_column("contacts", "suppressed_channels")
