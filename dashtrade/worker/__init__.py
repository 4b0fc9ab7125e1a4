"""The process that carries signals on: `python -m dashtrade.worker`."""
