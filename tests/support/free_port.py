"""A port of this machine that nobody listens on."""

import random
import socket


def free_port() -> int:
    """Below the range from which the system serves outgoing connections: one of those cannot take it before
    it is used."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
