"""The engine's parts, one step of a signal's path each; `bot_engine.Engine` puts them together.

intake -> deciding -> sending -> booking, with `lanes` to keep them in turn and `watch` over what is held.
"""
