"""The operational store: tables, migrations, connections, leases, bulk copies, and the embedded server."""
