"""The engine's parts, one for each step of a signal; `bot_engine.Engine` combines them.

intake -> deciding -> sending -> booking; `lanes` keeps each account and symbol in order, `watch` guards open
positions."""
