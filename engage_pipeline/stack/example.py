"""The example tenant and its flows, so that a first upload has somewhere to go."""

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import list_tenants
from engage_pipeline.flows.apply import apply_tenants
from engage_pipeline.flows.yaml_file import read_flows
from engage_pipeline.settings import PROJECT_ROOT

TENANT = "demo"
FLOWS_FILE = PROJECT_ROOT / "flows" / "demo.yaml"


def apply_example_flows(connection: Connection) -> None:
    """Make the tenant `demo` and put the flows of flows/demo.yaml in force for it."""
    apply_tenants(connection, read_flows(FLOWS_FILE))


def apply_example_flows_if_empty(connection: Connection) -> bool:
    """The same, only where nobody has made a tenant yet. True if it was done."""
    with connection.transaction():
        if list_tenants(connection):
            return False
        apply_example_flows(connection)
    return True
