"""A user's positions and bots, for a program with their webhook token or an access token."""

from __future__ import annotations

from flask import Blueprint, Response, request

from dashtrade.api.answers import ApiError, reply
from dashtrade.api.bots import shown_bots
from dashtrade.api.http import WEBHOOK_HINT, bearer, get_app
from dashtrade.api.positions import positions_view
from dashtrade.context import App
from dashtrade.domain.access import TokenScope
from dashtrade.domain.people import User
from dashtrade.services.bots.owned import bots_of
from dashtrade.services.people import tokens

bp = Blueprint("own", __name__)


def _reader(app: App, token: str) -> User | None:
    found = tokens.by_scoped_token(app, token)
    return found.user if found and found.scopes & {TokenScope.READ, TokenScope.TRADE} else None


def _own(user_id: int) -> User:
    """The user in the address, authenticated by their webhook token or an access token; for others the
    address does not exist."""
    app = get_app()
    token = request.args.get("token") or bearer()
    user = (tokens.by_webhook_token(app, token) or _reader(app, token)) if token else None
    if user is None:
        raise ApiError(401, "unauthorized", "The token is missing, unknown or no longer valid.", WEBHOOK_HINT)
    if user.id != user_id:
        raise ApiError(404, "not_found", "There is no such user.", "Use your own user id.")
    return user


@bp.get("/user/<int:user_id>/positions")
def user_positions(user_id: int) -> Response:
    return reply(positions_view(_own(user_id), None))


@bp.get("/user/<int:user_id>/bots")
def user_bots(user_id: int) -> Response:
    user = _own(user_id)
    found = bots_of(get_app(), user)
    return reply({"items": shown_bots(user, found), "next_cursor": None})
