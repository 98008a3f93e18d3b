"""What the office calls an account."""

from __future__ import annotations

from typing import Any


def name_of(user: Any) -> str:
    """The full name, or the one that it signs in with; empty for nobody."""
    return (user.get_full_name() or user.get_username()) if user is not None else ""
