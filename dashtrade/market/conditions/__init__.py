"""The condition language: one meaning for strategies, alerts, filters, scanners and backtests.

Text, tree and JSON are three faces of one thing: `reading.parse`, `text.text_of`, `json_face`."""
