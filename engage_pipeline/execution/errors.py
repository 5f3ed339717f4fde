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


class NoActionLog(EngageError):
    """An action log was named that is not there."""

    code = "no-action-log"

    def __init__(self, action_log_id: UUID) -> None:
        self.action_log_id = action_log_id
        super().__init__(
            what=f"there is no action log {action_log_id}",
            why="no action log of the tenant has that id",
            fix="take an id from the execution's timeline",
        )


class NoBatch(EngageError):
    """A micro-batch was named that is not there."""

    code = "no-batch"

    def __init__(self, batch_id: UUID) -> None:
        self.batch_id = batch_id
        super().__init__(
            what=f"there is no micro-batch {batch_id}",
            why="no micro-batch has that id, or it holds nothing of the tenant",
            fix="take an id from `engage batches list`",
        )


class NotFailed(EngageError):
    """A micro-batch was to be tried again that has not failed."""

    code = "not-failed"

    def __init__(self, batch_id: UUID, status: str) -> None:
        self.batch_id, self.status = batch_id, status
        super().__init__(
            what=f"the micro-batch {batch_id} is not tried again",
            why=f"it is {status}, and only one that failed waits for somebody to say so",
            fix="leave it: the pipeline is at it, or is done with it",
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
