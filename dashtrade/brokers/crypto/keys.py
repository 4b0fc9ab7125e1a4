"""An API key's permissions, where its exchange provides them: above all whether it can withdraw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

KeyInfo = tuple[str, tuple[str, ...], bool | None]


def no_key_info(client: Any, live: bool) -> KeyInfo:
    return "", (), None


def _binance_key(client: Any, live: bool) -> KeyInfo:
    account = client.privateGetAccount()
    if not live:  # the testnet lacks this endpoint
        return str(account.get("uid") or ""), tuple(account.get("permissions") or ()), None
    try:
        key = client.sapiGetAccountApiRestrictions()
    except Exception:
        if client.last_response.status not in (404, 405) or account.get("canWithdraw") is not True:
            raise
        # nothing is known of the key itself
        return str(account.get("uid") or ""), tuple(account.get("permissions") or ()), True
    granted = tuple(
        sorted(
            name.removeprefix("enable")
            for name, enabled in key.items()
            if enabled is True and name.startswith("enable")
        )
    )
    return str(account.get("uid") or ""), granted, bool(key.get("enableWithdrawals"))


def _okx_key(client: Any, live: bool) -> KeyInfo:
    account = client.privateGetAccountConfig()["data"][0]
    granted = tuple(filter(None, str(account.get("perm") or "").split(",")))
    return str(account.get("uid") or ""), granted, "withdraw" in granted if granted else None


def _coinbase_key(client: Any, live: bool) -> KeyInfo:
    key = client.v3PrivateGetBrokerageKeyPermissions()
    granted = tuple(
        name.removeprefix("can_") for name in ("can_view", "can_trade", "can_transfer") if key.get(name)
    )
    return str(key.get("portfolio_uuid") or ""), granted, bool(key.get("can_transfer"))


def _kraken_key(client: Any, live: bool) -> KeyInfo:
    key = client.privatePostGetApiKeyInfo()["result"]
    granted = tuple(str(name) for name in key.get("permissions") or ())
    can_withdraw = (
        any("withdraw" in name.lower() and "query" not in name.lower() for name in granted)
        if granted
        else None
    )
    return str(key.get("iban") or key.get("api_key_name") or ""), granted, can_withdraw


def _gemini_key(client: Any, live: bool) -> KeyInfo:
    roles = client.privatePostV1Roles()
    granted = tuple(
        name.removeprefix("is")
        for name in ("isAuditor", "isTrader", "isFundManager", "isAccountAdmin")
        if roles.get(name)
    )
    return str(roles.get("counterparty_id") or ""), granted, bool(roles.get("isFundManager"))


KEY_INFO: dict[str, Callable[[Any, bool], KeyInfo]] = {
    "binance": _binance_key,
    "okx": _okx_key,
    "coinbase": _coinbase_key,
    "kraken": _kraken_key,
    "gemini": _gemini_key,
}
