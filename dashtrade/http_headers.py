"""Response headers for browsers, and the host name and scheme of a request: one rule for both ports."""

from __future__ import annotations

from urllib.parse import urlsplit

NEVER_KEPT = ("Cache-Control", "no-store")
NOT_GUESSED = ("X-Content-Type-Options", "nosniff")
YEAR = 31536000  # seconds
# Of the REST API, whose answers are data: they are not rendered, executed, framed or cached.
DATA = (
    NEVER_KEPT,
    NOT_GUESSED,
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
)
_USUAL_PORT = {"http": ":80", "https": ":443"}


def origin(scheme: str, host: str) -> str:
    """As browsers write it: lower case, without the scheme's default port."""
    return f"{scheme}://{host.lower().removesuffix(_USUAL_PORT.get(scheme, ' '))}"


def origin_of(address: str) -> str:
    parts = urlsplit(address)
    return origin(parts.scheme, parts.netloc)


def is_https(scheme: str, host: str, own_address: str) -> bool:
    """Did the browser use HTTPS? A proxy says so, or the request used the configured HTTPS host name: for
    that name no proxy header is needed, and none can deny it."""
    return scheme == "https" or origin("https", host) == origin_of(own_address)


def strict_transport(scheme: str, host: str, own_address: str) -> str | None:
    """Strict-Transport-Security, for an answer over HTTPS. Subdomains are included for the host name
    configured for this; those of other names, such as a machine's, are not ours to decide on."""
    if not is_https(scheme, host, own_address):
        return None
    own = origin("https", host) == origin_of(own_address)
    return f"max-age={YEAR}; includeSubDomains" if own else f"max-age={YEAR}"
