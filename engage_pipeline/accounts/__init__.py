"""Channel accounts in the database: credentials under the installation's key, templates, and the channels they open."""
