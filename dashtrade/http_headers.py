"""What browsers are told with every answer, and by which name and scheme they came: one rule for both
ports."""

from __future__ import annotations

from urllib.parse import urlsplit

NEVER_KEPT = ("Cache-Control", "no-store")
NOT_GUESSED = ("X-Content-Type-Options", "nosniff")
YEAR = 31536000  # seconds
# Of the REST API, whose answers are data: nothing in them is drawn, run, framed or kept.
DATA = (
    NEVER_KEPT,
    NOT_GUESSED,
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
)
_USUAL_PORT = {"http": ":80", "https": ":443"}


def origin(scheme: str, host: str) -> str:
    """As browsers write it: small letters, and no port where it is the scheme's own."""
    return f"{scheme}://{host.lower().removesuffix(_USUAL_PORT.get(scheme, ' '))}"


def origin_of(address: str) -> str:
    parts = urlsplit(address)
    return origin(parts.scheme, parts.netloc)


def is_https(scheme: str, host: str, own_address: str) -> bool:
    """Did the browser come over HTTPS? A proxy says so, or it came by the very name that is known to be
    reached that way: with that name no proxy's header is needed, and none can say otherwise."""
    return scheme == "https" or origin("https", host) == origin_of(own_address)


def strict_transport(scheme: str, host: str, own_address: str) -> str | None:
    """Strict-Transport-Security, for an answer over HTTPS. What lies below the name is included where it is
    the name that was set for this; what lies below others, such as a machine's, is not ours to decide on."""
    if not is_https(scheme, host, own_address):
        return None
    own = origin("https", host) == origin_of(own_address)
    return f"max-age={YEAR}; includeSubDomains" if own else f"max-age={YEAR}"
