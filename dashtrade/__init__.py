"""DashTrade: from an alert to exactly one order at your own broker."""

__version__ = "0.1.0"
