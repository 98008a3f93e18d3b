"""Who may see rows of a model, as the admin decides it. Which rows of it is said in `trips.scope`."""

from __future__ import annotations

from typing import Any


def may_see(user: Any, model: str) -> bool:
    """Whether `user` may view or change rows of `model` ("trips.passport")."""
    app, _, name = model.partition(".")
    return any(user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))


EVERY_TRIP = "trips.see_every_trip"


def sees_every_trip(user: Any) -> bool:
    """Whether `user` sees all trips; who does not sees those that they lead and what belongs to them."""
    return bool(user.has_perm(EVERY_TRIP))
