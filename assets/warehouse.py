"""The warehouse assets: one for each SQL model, built together and published as one DuckDB file."""

from engage_pipeline.settings import PROJECT_ROOT

MODELS_FOLDER = PROJECT_ROOT / "dbt_like_sql"
