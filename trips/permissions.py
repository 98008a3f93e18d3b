"""Who may see rows of a model, as the admin decides it."""

from __future__ import annotations

from typing import Any


def may_see(user: Any, model: str) -> bool:
    """Whether `user` may view or change rows of `model` ("trips.passport")."""
    app, _, name = model.partition(".")
    return any(user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))
