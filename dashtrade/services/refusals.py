"""How a service refuses: in words for the user, with what to do instead."""

from __future__ import annotations


class NotFound(Exception):
    """The user has no such thing; whether another user has one is not revealed."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.message, self.hint = f"there is no such {what}", f"List your {what}s to find its id."


class Refusal(Exception):
    """Understood but refused, for a reason that the user can change."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class Denied(Exception):
    """Wrong credentials. The message does not reveal which part was wrong."""

    error = "denied"

    def __init__(self, message: str, hint: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message, self.hint, self.retry_after = message, hint, retry_after


class CodeNeeded(Denied):
    """The password was right; the account also needs a code."""

    error = "code_required"
