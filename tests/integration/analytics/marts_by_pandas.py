"""Every mart computed with pandas from the operational tables: `docs/analytics.md` read row by row, with no SQL model.

Each function gives the whole mart, every column of it, so that it can be held against what is published.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from scipy.stats import binomtest

from engage_pipeline.database.connections import Connection

TABLES = (
    "users",
    "auto_engagement_flows",
    "lead_uploads",
    "rejected_rows",
    "contacts",
    "flow_assignments",
    "flow_executions",
    "flow_action_logs",
)
CHANNELS = ("ai_call", "whatsapp_message", "email")
STAGES = ("uploaded", "contactable", "matched", "started", "attempted", "accepted", "reached", "succeeded")
ARRIVED = {
    "ai_call": {"answered", "voicemail"},
    "whatsapp_message": {"delivered", "read"},
    "email": {"delivered", "opened"},
}
REGRETS = {"complained", "opted_out"}
IN_RATES = [
    "attempted_count",
    "accepted_count",
    "outcome_known_count",
    "reached_count",
    "succeeded_count",
    "still_out_count",
    "no_feed_count",
]
APART = ["unknown_count", "open_count", "skipped_count"]
RATES = {
    "acceptance_rate": ("accepted_count", "attempted_count", "acceptance_enough_data"),
    "reach_rate": ("reached_count", "outcome_known_count", "enough_data"),
    "success_rate": ("succeeded_count", "outcome_known_count", "enough_data"),
    "pass_rate": ("contact_count", "previous_count", "enough_data"),
    "reason_rate": ("action_count", "flow_channel_count", "enough_data"),
    "reject_rate": ("rows_rejected", "rows_read", "enough_data"),
}
SUCCESS_RATES = ("acceptance_rate", "reach_rate", "success_rate")

Raw = Mapping[str, pd.DataFrame]


def read_raw(connection: Connection) -> dict[str, pd.DataFrame]:
    """The operational tables as they are, by name; missing values are None."""
    found = {}
    for table in TABLES:
        answer = connection.execute(f"select * from {table}")  # type: ignore[call-overload]
        names = [column.name for column in answer.description]
        found[table] = pd.DataFrame(answer.fetchall(), columns=names, dtype=object)
    return found


def marts_by_pandas(raw: Raw) -> dict[str, pd.DataFrame]:
    """Mart -> all its rows and columns, in any order."""
    actions = _actions(raw)
    flows = raw["auto_engagement_flows"].set_index("id")
    names = {"flow_name": flows["name"], "flow_priority": flows["priority"]}
    sent = actions[actions["send_date"].notna()]
    by_source = actions.assign(lead_source=actions["lead_source"].fillna("not stated"))
    performance = _counted(
        actions,
        ["user_id", "channel"],
        [*IN_RATES, *APART, "voicemail_count", "complained_count", "opted_out_count", "call_seconds", "cost_cents"],
    )
    return {
        "flow_success_rates": _named(
            _counted(actions, ["user_id", "flow_id", "channel"], [*IN_RATES, *APART]), **names
        ),
        "action_success_rates": _named(
            _counted(
                actions,
                ["user_id", "flow_id", "flow_version", "action_order", "channel"],
                [*IN_RATES, *APART],
            ),
            flow_name=names["flow_name"],
        ),
        "channel_performance": performance,
        "lead_source_performance": _counted(by_source, ["user_id", "lead_source"], [*IN_RATES, *APART]),
        "daily_engagement": _counted(sent, ["user_id", "channel", "send_date"], IN_RATES),
        "hourly_heatmap": _counted(sent, ["user_id", "channel", "send_weekday", "send_hour"], IN_RATES),
        "engagement_funnel": _funnel(raw, actions),
        "time_to_first_touch": _first_touch(raw, actions, names["flow_name"]),
        "execution_timeline": _timeline(raw, actions),
        "failure_reasons": _reasons(actions, names["flow_name"]),
        "upload_quality": _uploads(raw),
        "provider_cost": _costs(sent),
    }


def assert_same_rows(found: pd.DataFrame, expected: pd.DataFrame, key: Sequence[str], *, mart: str) -> None:
    """Every column of every row, floats to a billionth; fails naming the mart, the row and the column."""
    assert sorted(found.columns) == sorted(expected.columns), mart
    of_found, of_expected = (
        {tuple(_value(row[name]) for name in key): row for row in frame.to_dict("records")}
        for frame in (found, expected)
    )
    assert len(of_found) == len(found), f"{mart} repeats its key"
    assert of_found.keys() == of_expected.keys(), mart
    for each, row in of_found.items():
        for column in found.columns:
            is_, should_be = _value(row[column]), _value(of_expected[each][column])
            if isinstance(should_be, float) and is_ is not None:
                should_be = pytest.approx(should_be, rel=1e-9, abs=1e-9)
            assert is_ == should_be, f"{mart}, {each}: {column} is {is_!r} and should be {should_be!r}"


def check_rates(row: Mapping[str, Any]) -> None:
    """Every rate of a row against its numerator and denominator, with the interval that scipy gives."""
    for rate, (successes, trials, enough) in RATES.items():
        if rate in row:
            low, high = wilson(row[successes], row[trials])
            share = row[successes] / row[trials] if row[trials] else None
            assert (row[rate], row[f"{rate}_low"], row[f"{rate}_high"]) == pytest.approx((share, low, high), abs=1e-12)
            assert row[enough] is (row[trials] >= 30)


@cache
def wilson(successes: int, trials: int) -> tuple[float | None, float | None]:
    """The 95 % interval as scipy computes it."""
    if not trials:
        return None, None
    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _actions(raw: Raw) -> pd.DataFrame:
    """Each call, message or e-mail of a real execution with what the words mean of it."""
    executions = raw["flow_executions"].set_index("id")
    contacts = raw["contacts"].set_index("id")
    zones = raw["users"].set_index("id")["time_zone"]
    rows = []
    for log in raw["flow_action_logs"].itertuples():
        execution = executions.loc[log.execution_id]
        if log.action_type in CHANNELS and not execution["is_test_run"]:
            contact = contacts.loc[execution["contact_id"]]
            zone = ZoneInfo(zones[execution["user_id"]])
            rows.append(_meanings(log, zone) | _whose(log, execution, contact))
    return pd.DataFrame(rows, dtype=object)


def _whose(log: Any, execution: Any, contact: Any) -> dict[str, Any]:
    return {
        "action_log_id": log.id,
        "user_id": execution["user_id"],
        "contact_id": execution["contact_id"],
        "flow_id": execution["flow_id"],
        "flow_version": execution["flow_version"],
        "action_order": log.action_order,
        "channel": log.action_type,
        "lead_source": _source(contact["lead_source"]),
        "status": log.status,
        "sent_at": log.executed_at,
    }


def _meanings(log: Any, zone: ZoneInfo) -> dict[str, Any]:
    attempted = log.status in ("sent", "success", "failed") and log.executed_at is not None
    accepted = attempted and log.accepted_at is not None
    known = accepted and log.outcome not in (None, "accepted")
    # Whoever complains of a message, or says no to it, got it.
    reached = known and log.outcome in ARRIVED[log.action_type] | REGRETS
    liked = {"answered"} if log.action_type == "ai_call" else ARRIVED[log.action_type]
    sent = log.executed_at.astimezone(zone) if log.executed_at is not None else None
    return {
        "attempted_count": attempted,
        "accepted_count": accepted,
        "outcome_known_count": known,
        "reached_count": reached,
        "succeeded_count": reached and log.outcome in liked,
        "still_out_count": accepted and not known and log.status == "sent",
        "no_feed_count": accepted and not known and log.status != "sent",
        "unknown_count": log.status == "unknown",
        "open_count": log.status in ("pending", "sending"),
        "skipped_count": log.status == "skipped",
        "voicemail_count": known and log.outcome == "voicemail",
        "complained_count": known and log.outcome == "complained",
        "opted_out_count": known and log.outcome == "opted_out",
        "costed_count": log.cost_cents is not None,
        "cost_cents": float(log.cost_cents or 0),
        "call_seconds": float(log.call_seconds or 0),
        "send_date": sent and sent.date(),
        "send_weekday": sent and sent.isoweekday(),
        "send_hour": sent and sent.hour,
        "reason": _reason(log),
    }


def _reason(log: Any) -> str | None:
    if log.status == "skipped":
        return str(log.skip_reason)
    if log.status == "failed":
        code = log.result_data.get("code") or next(iter(log.result_data.get("codes", [])), None)
        is_code = code is not None and re.fullmatch(r"[a-z_]{1,40}|[0-9]{1,6}", str(code))
        return str(code) if is_code else log.outcome or "unstated"
    return None


def _source(source: str | None) -> str | None:
    """A lead source that could be an address or a number is nobody's business."""
    return None if source is None or "@" in source or len(re.findall(r"[0-9]", source)) >= 7 else source


def _counted(actions: pd.DataFrame, keys: list[str], counts: list[str]) -> pd.DataFrame:
    summed = actions.groupby(keys)[counts].sum().reset_index()
    whole = [name for name in counts if name.endswith("_count")]
    return _rated(summed.astype(dict.fromkeys(whole, int)), *SUCCESS_RATES)


def _rated(counts: pd.DataFrame, *rates: str) -> pd.DataFrame:
    """With each rate, its interval and whether there are enough data for it."""
    rows = []
    for row in counts.to_dict("records"):
        for rate in rates:
            successes, trials, enough = RATES[rate]
            row[rate] = row[successes] / row[trials] if row[trials] else None
            row[f"{rate}_low"], row[f"{rate}_high"] = wilson(row[successes], row[trials])
            row[enough] = row[trials] >= 30
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _named(frame: pd.DataFrame, **columns: pd.Series) -> pd.DataFrame:
    return frame.assign(**{name: frame["flow_id"].map(values) for name, values in columns.items()})


def _funnel(raw: Raw, actions: pd.DataFrame) -> pd.DataFrame:
    reasons = raw["flow_assignments"].groupby("contact_id")["reason"].agg(set)
    executions = raw["flow_executions"]
    started = {*executions.loc[~executions["is_test_run"].astype(bool), "contact_id"]}
    done = {
        stage: {*actions.loc[actions[f"{stage}_count"].astype(bool), "contact_id"]}
        for stage in ("attempted", "accepted", "reached", "succeeded")
    }
    counts: dict[Any, dict[str, int]] = {}
    for contact in raw["contacts"].itertuples():
        given = reasons.get(contact.id)
        passed = [
            True,
            _is_contactable(contact) if given is None else bool(given - {"dnc", "suppressed", "unreachable"}),
            given is not None and "matched" in given,
            contact.id in started,
            *(contact.id in those for those in done.values()),
        ]
        of_tenant = counts.setdefault(contact.user_id, dict.fromkeys(STAGES, 0))
        for stage, has_passed in zip(STAGES, passed, strict=True):
            if not has_passed:
                break
            of_tenant[stage] += 1
    rows = [
        {
            "user_id": user_id,
            "stage_order": order,
            "stage": stage,
            "contact_count": of_tenant[stage],
            "previous_count": of_tenant[STAGES[max(order - 2, 0)]],
        }
        for user_id, of_tenant in counts.items()
        for order, stage in enumerate(STAGES, start=1)
    ]
    return _rated(pd.DataFrame(rows), "pass_rate")


def _is_contactable(contact: Any) -> bool:
    addresses = {"ai_call": contact.phone_e164, "whatsapp_message": contact.phone_e164, "email": contact.email}
    return not contact.is_dnc and any(
        address is not None and channel not in contact.suppressed_channels for channel, address in addresses.items()
    )


def _first_touch(raw: Raw, actions: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    loaded = raw["contacts"].set_index("id")["created_at"]
    attempted = actions[actions["attempted_count"].astype(bool)].sort_values(["sent_at", "action_log_id"])
    first = attempted.drop_duplicates("contact_id")
    seconds = [(row.sent_at - loaded[row.contact_id]).total_seconds() for row in first.itertuples()]
    waits = first.assign(seconds=pd.Series(seconds, index=first.index, dtype=float)).groupby(["user_id", "flow_id"])
    found = waits["seconds"].quantile([0.5, 0.9, 0.99]).unstack()
    found.columns = ["p50_seconds", "p90_seconds", "p99_seconds"]
    found["contact_count"] = waits.size()
    found["enough_data"] = found["contact_count"] >= 30
    return _named(found.reset_index(), flow_name=names)


def _timeline(raw: Raw, actions: pd.DataFrame) -> pd.DataFrame:
    executions = raw["flow_executions"].set_index("id")
    contacts = raw["contacts"].set_index("id")
    uploads = raw["lead_uploads"].set_index("id")["created_at"]
    assigned = raw["flow_assignments"].set_index(["contact_id", "micro_batch_id"])["assigned_at"].to_dict()
    meanings = actions.set_index("action_log_id").to_dict("index")
    rows = []
    for log in raw["flow_action_logs"].itertuples():
        execution = executions.loc[log.execution_id]
        contact = contacts.loc[execution["contact_id"]]
        meaning = meanings.get(log.id, {})
        is_known = meaning.get("outcome_known_count", False)
        rows.append(
            {
                "action_log_id": log.id,
                "user_id": execution["user_id"],
                "contact_id": execution["contact_id"],
                "execution_id": log.execution_id,
                "flow_id": execution["flow_id"],
                "flow_version": execution["flow_version"],
                "action_order": log.action_order,
                "action_type": log.action_type,
                "is_test_run": execution["is_test_run"],
                "upload_id": contact["upload_id"],
                "uploaded_at": uploads.get(contact["upload_id"]),
                "contact_created_at": contact["created_at"],
                "assigned_at": assigned.get((execution["contact_id"], execution["micro_batch_id"])),
                "triggered_at": execution["triggered_at"],
                "created_at": log.created_at,
                "attempt_count": log.attempt_count,
                "sent_at": log.executed_at,
                "accepted_at": log.accepted_at,
                "outcome": log.outcome,
                "outcome_at": log.outcome_at,
                "completed_at": log.completed_at,
                "due_at": log.due_at,
                "action_status": log.status,
                "execution_status": execution["status"],
                "reason": meaning.get("reason"),
                "is_reached": meaning["reached_count"] if is_known else None,
                "is_succeeded": meaning["succeeded_count"] if is_known else None,
                "cost_cents": None if log.cost_cents is None else float(log.cost_cents),
                "call_seconds": None if log.call_seconds is None else float(log.call_seconds),
            }
        )
    return pd.DataFrame(rows, dtype=object)


def _reasons(actions: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    ended = actions[actions["reason"].notna()].rename(columns={"status": "action_status"})
    of_channel = ["user_id", "flow_id", "channel"]
    counts = ended.groupby([*of_channel, "action_status", "reason"]).size().rename("action_count").reset_index()
    counts["flow_channel_count"] = counts.groupby(of_channel)["action_count"].transform("sum")
    return _named(_rated(counts, "reason_rate"), flow_name=names)


def _uploads(raw: Raw) -> pd.DataFrame:
    rows = []
    for upload in raw["lead_uploads"].itertuples():
        rejected = raw["rejected_rows"]
        counts = rejected.loc[rejected["upload_id"].eq(upload.id), "reason_code"].value_counts().to_dict()
        top = min(counts.items(), key=lambda pair: (-pair[1], pair[0]), default=(None, None))
        ended = upload.finished_at
        rows.append(
            {
                "user_id": upload.user_id,
                "upload_id": upload.id,
                "upload_status": upload.status,
                "refusal_code": upload.refusal_code,
                "uploaded_at": upload.created_at,
                "load_seconds": None if ended is None else (ended - upload.created_at).total_seconds(),
                **{
                    name: getattr(upload, name)
                    for name in (
                        "rows_read",
                        "rows_inserted",
                        "rows_updated",
                        "rows_duplicate",
                        "rows_rejected",
                        "rows_held",
                    )
                },
                "top_reject_reason": top[0],
                "top_reject_count": top[1],
            }
        )
    return _rated(pd.DataFrame(rows, dtype=object), "reject_rate")


def _costs(sent: pd.DataFrame) -> pd.DataFrame:
    counts = ["accepted_count", "succeeded_count", "costed_count", "cost_cents", "call_seconds"]
    summed = sent.groupby(["user_id", "channel", "send_date"])[counts].sum().reset_index()
    rows = []
    for row in summed.to_dict("records"):
        row["cost_cents_per_costed"] = row["cost_cents"] / row["costed_count"] if row["costed_count"] else None
        row["cost_cents_per_succeeded"] = row["cost_cents"] / row["succeeded_count"] if row["succeeded_count"] else None
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _value(value: Any) -> Any:
    """A missing value is None, and a number is not one of numpy's or PostgreSQL's."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if hasattr(value, "item"):
        return value.item()
    return float(value) if type(value).__name__ == "Decimal" else value
