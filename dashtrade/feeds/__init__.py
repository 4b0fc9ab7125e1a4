"""Price sources: one file each, implementing `ports.Feed`."""
