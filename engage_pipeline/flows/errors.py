"""What can be wrong with the flows of a tenant in a way that a person can mend."""

from collections.abc import Sequence
from difflib import get_close_matches
from uuid import UUID

from engage_pipeline.errors import EngageError


class NoFlow(EngageError):
    """A flow was named that the tenant does not have, or no longer has."""

    code = "no-flow"

    def __init__(self, name: str, *, tenant_name: str, known: Sequence[str]) -> None:
        self.name, self.tenant_name, self.known = name, tenant_name, tuple(known)
        close = get_close_matches(name, known, n=1)
        if close:
            fix = f"use {close[0]!r}"
        elif known:
            fix = f"use one of: {', '.join(repr(each) for each in known)}"
        else:
            fix = "run `engage flows apply` with a file of flows first"
        super().__init__(
            what=f"there is no flow {name!r} of the tenant {tenant_name!r}",
            why="none of its flows has that name, or it was deleted",
            fix=fix,
        )


class NoFlowOfId(EngageError):
    """A flow was asked for by an id that the tenant does not have, or no longer has."""

    code = "no-flow"

    def __init__(self, flow_id: UUID) -> None:
        self.flow_id = flow_id
        super().__init__(
            what=f"there is no flow {flow_id}",
            why="none of the tenant's flows has that id, or it was deleted",
            fix="take an id from the list of flows",
        )


class NoFlowVersion(EngageError):
    """A version of a flow was asked for that never was."""

    code = "no-flow-version"

    def __init__(self, name: str, *, version: int, latest: int) -> None:
        self.name, self.version, self.latest = name, version, latest
        super().__init__(
            what=f"the flow {name!r} has no version {version}",
            why=f"its versions go from 1 to {latest}",
            fix="ask for one of those, or for none to get the current one",
        )


class PriorityTaken(EngageError):
    """Two flows of one tenant would have the same priority, so which of them wins would be chance."""

    code = "priority-taken"

    def __init__(self, priority: int, *, flow_name: str, taken_by: str) -> None:
        self.priority, self.flow_name, self.taken_by = priority, flow_name, taken_by
        super().__init__(
            what=f"the flow {flow_name!r} wants priority {priority}",
            why=f"the flow {taken_by!r} of the same tenant has it, and a priority is unique whether or not a flow is "
            "enabled",
            fix=f"give one of them another number, delete {taken_by!r}, or apply both in one go",
        )


class FlowNameTaken(EngageError):
    """A flow would get the name of another one of its tenant."""

    code = "flow-name-taken"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            what=f"a flow is to be named {name!r}",
            why="another flow of the same tenant has that name",
            fix="give it another name, or change that flow instead",
        )


class FlowMoved(EngageError):
    """A flow was to be changed from a version that is no longer the current one."""

    code = "flow-moved"

    def __init__(self, name: str, *, version: int) -> None:
        self.name, self.version = name, version
        super().__init__(
            what=f"the flow {name!r} was not changed",
            why=f"somebody else changed it: it is at version {version} now",
            fix="read it again, look at what is different, and make the change from there",
        )


class FlowNamedTwice(EngageError):
    """Two flows that are applied together have one name."""

    code = "flow-named-twice"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            what=f"two flows are named {name!r}",
            why="a flow is known by its name, so the second would overwrite the first",
            fix="rename one of them",
        )


class InvalidFlows(EngageError):
    """Flow files break a rule, or are no YAML.

    Attributes:
        problems: one line each, `file:line: field path: what is wrong`.
    """

    code = "invalid-flows"

    def __init__(self, source: str, *, problems: Sequence[str]) -> None:
        self.source, self.problems = source, tuple(problems)
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            what=f"the flows of {source} were not taken: {count}",
            why="\n" + "\n".join(problems),
            fix="mend these lines (docs/flows.md lists every field and rule); nothing was changed",
        )


class FlowsChanged(EngageError):
    """The flows are no longer those that a plan was made from."""

    code = "flows-changed"

    def __init__(self, tenant_name: str) -> None:
        self.tenant_name = tenant_name
        super().__init__(
            what=f"the plan for the tenant {tenant_name!r} was not carried out; nothing was changed",
            why="somebody else changed its flows after the plan was made",
            fix="look at the new plan: run `engage flows apply` again",
        )


class NotConfirmed(EngageError):
    """A plan was shown where nobody could agree to it."""

    code = "not-confirmed"

    def __init__(self) -> None:
        super().__init__(
            what="the flows were not applied; nothing was changed",
            why="`engage flows apply` asks before it changes anything, and there is no terminal to ask at",
            fix="add --yes where a program applies flows",
        )
