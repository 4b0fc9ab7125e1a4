"""A form whose complaints stand beside the field they are about, in the words that the form itself uses.

Services name a field as the API does. A form says where each of them stands and what it is called there; what
is wrong with one is then written below it, the field is marked, and the page is brought to it."""

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
from dashtrade.ui.shell.page import the_app


@dataclass(slots=True)
class Place:
    slot: Any
    label: str
    hint: str  # instead of the API's, where that would speak of the API


@dataclass(slots=True)
class Form:
    """`name` has letters, digits and _ alone: it becomes part of classes and keys."""

    name: str
    places: dict[str, Place] = field(default_factory=dict)
    foot: Any = None  # for what is about no field: above the button, where one looks

    def at(self, where: str, label: str, column: Any = None, *, hint: str = "") -> Any:
        """The place of a field; what is drawn in it is the field."""
        slot = (st if column is None else column).container(
            key=f"field_{self.name}_{where}".replace(".", "_")
        )
        self.places[where] = Place(slot, label, hint)
        return slot

    def text(self, where: str, label: str, column: Any = None, *, hint: str = "", **more: Any) -> str:
        """A text field; what is in it, without spaces around."""
        slot = self.at(where, label, column, hint=hint)
        return (slot.text_input(label, key=self.key(where), **more) or "").strip()

    def key(self, where: str) -> str:
        """For a field that is drawn by itself."""
        return f"{self.name}_{where}".replace(".", "_")

    def number(self, where: str, said: str, **more: Any) -> str | None:
        """What was written there, as digits; see `written.number`."""
        return read_input.number(said, where, self.places[where].label, **more)

    def complaints(self) -> None:
        """Where what is wrong with the whole of it is to stand."""
        self.foot = st.container(key=f"foot_{self.name}")

    @contextlib.contextmanager
    def trying(self) -> Iterator[Attempt]:
        """As `errors.trying`, with the reason at its field."""
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
            wrong = f"foot_{self.name}"
        else:
            assert isinstance(error, Malformed)
            where, found = place
            message = error.message.replace(error.where, found.label)
            said = Malformed(message, hint=found.hint or error.hint)
            wrong = f"wrong_{self.name}_{where}".replace(".", "_")
            found.slot.container(key=wrong).error(explained(said))
        mounted("spot", "<i hidden></i>")(
            key=f"spot_{self.name}",
            data={"wrong": wrong, "at": new_id(the_app().clock.now())},
            height="content",
        )

    def _place(self, where: str) -> tuple[str, Place] | None:
        """Also for a part of a field, such as stop_loss.percent or credentials.key."""
        for known, place in self.places.items():
            if where == known or where.startswith((f"{known}.", f"{known}[")) or where.endswith(f".{known}"):
                return known, place
        return None
