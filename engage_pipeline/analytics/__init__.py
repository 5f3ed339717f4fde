"""SQL models to a graph; building and publishing the DuckDB warehouse."""
