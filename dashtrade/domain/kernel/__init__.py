"""The rules of trading as functions from a state and an event to the next state.

No database, no clock, no generated ids: `dashtrade/engine/` loads the inputs, stores the results, and
executes them."""
