"""What can be wrong with an execution or an action log in a way that a person can mend."""

from uuid import UUID

from engage_pipeline.errors import EngageError


class NoExecution(EngageError):
    """An execution was named that is not there."""

    code = "no-execution"

    def __init__(self, execution_id: UUID) -> None:
        self.execution_id = execution_id
        super().__init__(
            what=f"there is no execution {execution_id}",
            why="no execution has that id",
            fix="take an id from `engage executions list`",
        )


class NotUnknown(EngageError):
    """An action log was to be resolved that is not unknown."""

    code = "not-unknown"

    def __init__(self, action_log_id: UUID, *, status: str | None) -> None:
        self.action_log_id, self.status = action_log_id, status
        super().__init__(
            what=f"the action log {action_log_id} cannot be resolved",
            why="there is no such action log"
            if status is None
            else f"it is {status}, and only unknown ones wait for a person",
            fix="take an id from `engage executions list --unknown`",
        )
