"""Where prices come from: one file per source, each implementing `ports.Feed`."""
