"""How an amount is written for people, wherever one stands in a sentence, a list or a report."""

from __future__ import annotations

from decimal import Decimal

from django.utils import formats


def money(amount: Decimal | None, currency: str = "") -> str:
    """ "1,950.00 USD"; nothing for no amount."""
    if amount is None:
        return ""
    return f"{formats.number_format(amount, 2, use_l10n=True, force_grouping=True)} {currency}".strip()
