"""Setup: broker accounts, the webhook, and alerts."""
