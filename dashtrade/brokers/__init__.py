"""The venues orders go to: one file per broker, each implementing `ports.Broker` and importing nothing of
ours but `domain`."""
