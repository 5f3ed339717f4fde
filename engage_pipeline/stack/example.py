"""The example tenant with its flows and templates, so that a first upload has somewhere to go."""

from engage_pipeline.accounts.templates import read_template_file, save_templates
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import find_tenant, list_tenants
from engage_pipeline.flows.apply import apply_tenants
from engage_pipeline.flows.yaml_file import read_flows
from engage_pipeline.settings import PROJECT_ROOT

TENANT = "demo"
FLOWS_FILE = PROJECT_ROOT / "flows" / "demo.yaml"
TEMPLATES_FILE = PROJECT_ROOT / "templates" / "demo.yaml"


def apply_example_flows(connection: Connection) -> None:
    """Make the tenant `demo`, put the flows of flows/demo.yaml in force for it, and save its templates."""
    apply_tenants(connection, read_flows(FLOWS_FILE))
    tenant, templates = read_template_file(TEMPLATES_FILE)
    save_templates(connection, find_tenant(connection, tenant).user_id, templates)


def apply_example_flows_if_empty(connection: Connection) -> bool:
    """The same, only where nobody has made a tenant yet. True if it was done."""
    with connection.transaction():
        if list_tenants(connection):
            return False
        apply_example_flows(connection)
    return True
