"""The process that executes signals: `python -m dashtrade.worker`."""
