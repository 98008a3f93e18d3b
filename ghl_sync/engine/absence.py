"""What "not found" proves: a record counts as missing only while others of its kind are found."""

from __future__ import annotations

from ghl_sync.client.errors import NotFound
from ghl_sync.engine.session import Session
from ghl_sync.models import Link


def others_answer(session: Session, link: Link) -> bool:
    """Whether another record of the kind is found this moment, so that "not found" means this one alone."""
    others = Link.objects.filter(kind=link.kind, gone_at__isnull=True, deleted_at__isnull=True).exclude(pk=link.pk)
    other = others.exclude(remote_id="").order_by("-remote_seen_at").values_list("remote_id", flat=True).first()
    if other is None:
        return True  # the account holds no other record of ours: the known shape of the answer must do
    try:
        session.read(link.kind, other)
    except NotFound:
        return False
    return True
