"""The rules of trading as functions from a state and an event to the next state.

No database, no clock, no ids made here: `dashtrade/engine/` loads what they look at, stores what they give
back, and carries it out."""
