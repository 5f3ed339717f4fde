"""What a flow is: its model and validation, versions in the database, YAML in and out."""
