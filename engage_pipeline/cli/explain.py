"""`engage explain`: why a contact gets the flow it gets."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.settings import load_settings

out = Console(highlight=False)

_NOTHING_STARTS = {
    "dnc": "no flow: the contact has a do-not-contact tag",
    "no_match": "no flow: the conditions of none of them hold",
    "unreachable": "nothing starts: the contact has an address for none of its channels (unreachable)",
    "suppressed": "nothing starts: the contact has said no to each of its channels that could reach it (suppressed)",
}


def explain(
    contact: Annotated[str, typer.Argument(help="A contact's id, phone number (+12025550100) or e-mail address.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show every enabled flow in order of priority, each condition with the value seen, and which flow wins.

    Example: engage explain ada@crm.example
    """
    from engage_pipeline.matching.explain import explain_contact

    url = database_url(load_settings())
    with connect(url) as connection:
        explanations = explain_contact(connection, url, contact, now=utc_now())
    if as_json:
        out.print(json.dumps([asdict(each) for each in explanations]), markup=False, soft_wrap=True)
        return
    for each in explanations:
        out.print(f"contact {each.contact_id}", markup=False)
        for flow in each.flows:
            out.print(f"  {_sign(flow.is_true)} {flow.priority} {flow.flow_name}", markup=False, soft_wrap=True)
            for line in flow.lines:
                seen = "" if line.seen is None else f"   seen: {', '.join(map(repr, line.seen)) or 'nothing'}"
                indent = "  " * (line.depth + 2)
                out.print(f"{indent}{_sign(line.is_true)} {line.text}{seen}", markup=False, soft_wrap=True)
        if each.winner is not None:
            out.print(f"  wins: {each.winner}, the first whose conditions all hold", markup=False, soft_wrap=True)
        if each.reason in _NOTHING_STARTS:
            out.print(f"  {_NOTHING_STARTS[each.reason]}", markup=False, soft_wrap=True)
        if (last := each.assigned) is not None:
            given = "no flow" if last.flow_name is None else f"{last.flow_name} version {last.flow_version}"
            out.print(f"  assigned {last.assigned_at}: {given}, {last.reason}", markup=False, soft_wrap=True)
        if (again := each.again) is not None:
            would = f"would be {again.reason}" if again.is_offered else "would not be matched"
            out.print(f"  arriving again now, it {would}: {again.words}", markup=False, soft_wrap=True)


def _sign(is_true: bool) -> str:
    return "yes" if is_true else "no "
