"""How a service says no: in words for the user, who is told what to do instead."""

from __future__ import annotations


class NotFound(Exception):
    """There is no such thing of this user's; whether there is one of somebody else's is nobody's business."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.message, self.hint = f"there is no such {what}", f"List your {what}s to find its id."


class Refusal(Exception):
    """Understood, and not done, for a reason the user can change."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class Denied(Exception):
    """Not with these credentials. The words are the same whatever was wrong with them."""

    error = "denied"

    def __init__(self, message: str, hint: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message, self.hint, self.retry_after = message, hint, retry_after


class CodeNeeded(Denied):
    """The password was right, and this account wants a code as well."""

    error = "code_required"
