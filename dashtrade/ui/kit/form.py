"""A form that shows each error beside its field, in the form's own wording.

Services name fields as the API does. A form registers each field's place and label; an error is then
written below the field, the field is marked, and the page scrolls to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from dashtrade.domain.values import Malformed, new_id
from dashtrade.ui.kit import read_input
from dashtrade.ui.kit.components import mounted
from dashtrade.ui.shell.errors import EXPECTED, Attempt, explained
from dashtrade.ui.shell.page import get_app


@dataclass(slots=True)
class Place:
    slot: Any
    label: str
    hint: str  # replaces the API's hint, where that is about the API


@dataclass(slots=True)
class Form:
    """`name` has only letters, digits and _, as it becomes part of CSS classes and keys."""

    name: str
    places: dict[str, Place] = field(default_factory=dict)
    foot: Any = None  # for errors about no field: above the button

    def at(self, where: str, label: str, column: Any = None, *, hint: str = "") -> Any:
        """The container of a field; the field is drawn in it."""
        slot = (st if column is None else column).container(
            key=f"field_{self.name}_{where}".replace(".", "_")
        )
        self.places[where] = Place(slot, label, hint)
        return slot

    def text(self, where: str, label: str, column: Any = None, *, hint: str = "", **more: Any) -> str:
        """A text field; returns its stripped value."""
        slot = self.at(where, label, column, hint=hint)
        return (slot.text_input(label, key=self.key(where), **more) or "").strip()

    def key(self, where: str) -> str:
        """For a field that is drawn separately."""
        return f"{self.name}_{where}".replace(".", "_")

    def number(self, where: str, entered: str, **more: Any) -> str | None:
        """The entered number, as digits; see `read_input.number`."""
        return read_input.number(entered, where, self.places[where].label, **more)

    def complaints(self) -> None:
        """The place for errors about the whole form."""
        self.foot = st.container(key=f"foot_{self.name}")

    @contextlib.contextmanager
    def trying(self) -> Iterator[Attempt]:
        """Like `errors.trying`, with the error at its field."""
        attempt = Attempt()
        try:
            yield attempt
            attempt.ok = True
        except EXPECTED as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        place = self._place(error.where) if isinstance(error, Malformed) else None
        if place is None:
            (self.foot or st).error(explained(error), icon=":material/error:")
            element = f"foot_{self.name}"
        else:
            assert isinstance(error, Malformed)
            where, found = place
            message = error.message.replace(error.where, found.label)
            complaint = Malformed(message, hint=found.hint or error.hint)
            element = f"wrong_{self.name}_{where}".replace(".", "_")
            found.slot.container(key=element).error(explained(complaint))
        mounted("spot", "<i hidden></i>")(
            key=f"spot_{self.name}",
            data={"wrong": element, "at": new_id(get_app().clock.now())},
            height="content",
        )

    def _place(self, where: str) -> tuple[str, Place] | None:
        """Also matches a part of a field, such as stop_loss.percent or credentials.key."""
        for name, place in self.places.items():
            if where == name or where.startswith((f"{name}.", f"{name}[")) or where.endswith(f".{name}"):
                return name, place
        return None
