"""Which money figures are about: real or paper, of all accounts or of one. The two are never added up."""

from __future__ import annotations

from enum import StrEnum

from dashtrade.domain.record import record


class MoneyKind(StrEnum):
    """What a trade is made with. A live account in simulation mode trades with paper money."""

    LIVE = "live"
    PAPER = "paper"


@record
class MoneyScope:
    """All accounts with this kind of money, or one of them."""

    money: MoneyKind
    account_id: int | None = None

    @property
    def text(self) -> str:
        """As in an address: live, paper, or the account's number."""
        return str(self.money) if self.account_id is None else str(self.account_id)

    def covers(self, account_id: int, money: MoneyKind) -> bool:
        return money is self.money and self.account_id in (None, account_id)
