"""Errors, told apart by what they end. Everything else that is raised is a bug, and ends the run.

UserError      the run, exit 2    the input, or a task of the user's own, is at fault
BugError       the run, exit 3    a defect of rrr's that was noticed
WorkerFailed   this process       what it still owed is asked again elsewhere
CallFailed     this call          it may be asked again where ``retryable`` says so
"""

from typing import ClassVar, Literal

ErrorType = Literal["user", "bug", "worker", "call"]


class RrrError(Exception):
    """An error whose message a person reads. ``cure`` says what to do about it."""

    type: ClassVar[ErrorType]
    retryable: bool = False

    def __init__(self, message: str, *, cure: str | None = None):
        super().__init__(message)
        self.cure = cure


class UserError(RrrError):
    """What the user wrote is at fault: config, data, or code of a task."""

    type = "user"


class BugError(RrrError):
    """Something that can't be, is."""

    type = "bug"


class WorkerFailed(RrrError):
    """This process can't go on, such as one whose engine died."""

    type = "worker"


class CallFailed(RrrError):
    """This call can't be answered; the worker can answer others."""

    type = "call"

    def __init__(self, message: str, *, cure: str | None = None, retryable: bool = False):
        super().__init__(message, cure=cure)
        self.retryable = retryable
