"""The dashboard as its own process, for every test that asks for it."""

from tests.support.ui_harness import harness

__all__ = ["harness"]
