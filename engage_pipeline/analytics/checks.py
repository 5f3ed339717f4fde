"""What must hold of a warehouse before it is published, checked on the file itself. What follows is the builder's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from engage_pipeline.analytics.duck import number, quoted
from engage_pipeline.analytics.models import Model

ALIKE = (
    "attempted_count",
    "accepted_count",
    "outcome_known_count",
    "reached_count",
    "succeeded_count",
    "still_out_count",
    "no_feed_count",
)
"""The counts that say the same of every mart that has them."""
REFERENCES = {"user_id": "stg_users", "flow_id": "stg_flows"}
COMPLETE = {
    "dim_executions": "select count(*) from main.stg_flow_executions",
    "fct_contacts": "select count(*) from main.stg_contacts",
    # Without waits and test runs. Few executions are test runs, so this costs one look at each log.
    "fct_actions": "select count(*) from main.stg_flow_action_logs as logs anti join"
    " (select execution_id from main.stg_flow_executions where is_test_run) as tests"
    " on logs.execution_id = tests.execution_id where logs.action_type <> 'wait'",
}
"""Model -> how many rows it has when a join lost none. The marts count these models, and these the staged tables."""


@dataclass(frozen=True)
class Check:
    """One check of one model.

    Attributes:
        model: the model that it is about.
        name: unique among the model's checks.
        description: what holds when it passes.
        is_blocking: whether a failure keeps the file from being published.
        failing_sql: a DuckDB query for the number of rows, keys or groups of which it does not hold; None for the one
            that compares with PostgreSQL.
    """

    model: str
    name: str
    description: str
    is_blocking: bool
    failing_sql: str | None


@dataclass(frozen=True)
class CheckResult:
    """What a check found."""

    model: str
    name: str
    is_blocking: bool
    failing_count: int

    @property
    def passed(self) -> bool:
        """Whether it holds everywhere."""
        return self.failing_count == 0


def checks_of(models: Sequence[Model]) -> tuple[Check, ...]:
    """Every check of these models."""
    return tuple(check for model in models for check in _checks_of(model))


def run_checks(
    warehouse: duckdb.DuckDBPyConnection, models: Sequence[Model], source_counts: Mapping[str, int]
) -> tuple[CheckResult, ...]:
    """Run every check of the models.

    Args:
        source_counts: rows of each operational table in the snapshot that the warehouse is of.
    """
    results = []
    for check in checks_of(models):
        if check.failing_sql is None:
            table = next(model for model in models if model.name == check.model).inputs[0].removeprefix("raw.")
            held = number(warehouse, f"select count(*) from raw.{quoted(table)}")
            failing_count = abs(held - source_counts[table])
        else:
            failing_count = number(warehouse, check.failing_sql)
        results.append(CheckResult(check.model, check.name, check.is_blocking, failing_count))
    return tuple(results)


def _checks_of(model: Model) -> list[Check]:
    table = f"main.{quoted(model.name)}"
    if model.is_view:
        if model.layer != "staging":
            return []
        return [
            Check(
                model.name,
                "balances_with_postgresql",
                "It has as many rows as the table in PostgreSQL had at the same moment.",
                True,
                None,
            )
        ]
    checks = [_key(model, table)]
    if model.name in COMPLETE:
        checks.append(
            Check(
                model.name,
                "has_every_row",
                "No row of the tables it is made of was lost on the way.",
                True,
                f"select abs(({COMPLETE[model.name]}) - (select count(*) from {table}))",
            )
        )
    for column, target in REFERENCES.items():
        if column in model.columns and model.layer == "marts":
            checks.append(
                Check(
                    model.name,
                    f"{column}_exists",
                    f"Every {column} is in {target}.",
                    False,
                    f"select count(*) from {table} as t anti join main.{target} as k on t.{column} = k.{column}",
                )
            )
    rates = [column for column in model.columns if column.endswith("_rate")]
    if rates:
        wrong = " or ".join(
            f"not ({rate} between 0 and 1 and {rate}_low between 0 and {rate} + 1e-12"
            f" and {rate}_high between {rate} - 1e-12 and 1)"
            for rate in rates
        )
        checks.append(
            Check(
                model.name,
                "rates_within_bounds",
                "Every rate is between 0 and 1 and inside its interval.",
                True,
                f"select count(*) from {table} where {wrong}",
            )
        )
    if model.name == "engagement_funnel":
        checks.append(
            Check(
                model.name,
                "never_grows",
                "No stage has more contacts than the stage before.",
                True,
                f"select count(*) from (select contact_count > lag(contact_count) over (partition by user_id"
                f" order by stage_order) as grows from {table}) where grows",
            )
        )
    if model.layer == "marts" and {*ALIKE} <= {*model.columns}:
        sums = ", ".join(f"coalesce(sum({name}), 0) as {name}" for name in ALIKE)
        # A tenant that sent nothing has no row in a mart by days.
        mart, actions = (
            f"(select user_id, {sums} from {name} group by user_id having sum(attempted_count) > 0)"
            for name in (table, "main.fct_daily_outcomes")
        )
        checks.append(
            Check(
                model.name,
                "agrees_with_the_actions",
                "Its counts add up, for every tenant, to those of the actions themselves.",
                True,
                f"select count(*) from (({mart} except {actions}) union all ({actions} except {mart}))",
            )
        )
    return checks


def _key(model: Model, table: str) -> Check:
    key = ", ".join(map(quoted, model.key))
    required = [name for name in model.key if "null" not in model.columns[name]]
    nulls = " or ".join(f"{quoted(name)} is null" for name in required) or "false"
    if model.layer == "marts":
        failing = (
            f"select (select count(*) - (select count(*) from (select distinct {key} from {table})) from {table})"
            f" + (select count(*) from {table} where {nulls})"
        )
    else:
        # The build itself holds the changed keys of large tables to it.
        failing = f"select count(*) from {table} where {nulls}"
    return Check(
        model.name,
        "key_is_unique_and_not_null",
        f"No two rows share ({', '.join(model.key)}), and none lacks it.",
        True,
        failing,
    )
