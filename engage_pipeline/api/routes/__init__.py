"""The endpoints, one module a subject; each calls the engine and shows what it said."""
