"""What GoHighLevel has to do with the merge of two contacts: which one stays, and what a person does over there.

No program may merge contacts there or give an opportunity to another contact (API notes §0.9, §5.6, §9).
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ghl_sync.admin.badges import ago, link_of
from ghl_sync.models import Link
from trips.models import Contact
from trips.services import merging
from trips.services.merging import DROP

UNIQUE = {"email": "e-mail", "phone": "phone"}


class MergedElsewhere:
    """Mixed in before `trips.admin.merging.MergePages`."""

    def named_by(self, ids: list[int]) -> list[int]:
        """The ID of a merged contact over there finds the one that stands for it."""
        rows = Contact.objects.filter(pk__in=ids).values_list("pk", "merged_into") if ids else []
        return [into or pk for pk, into in rows]

    def merge_facts(self, request: HttpRequest, contact: Contact) -> list[tuple[str, Any]]:
        link = link_of(contact)
        if link is None or not link.remote_id:
            return [("GoHighLevel", "not there")]
        opens: Any = format_html('<a class="text-link" href="{}">{}</a>', link.remote_url, link.remote_id)
        facts = [("GoHighLevel", opens if _is_live(link) else f"{link.remote_id}, not found or not mirrored")]
        return [*facts, ("Last synced", ago(link.synced_at) if link.synced_at else "never")]

    def merge_keeps(self, one: Contact, other: Contact) -> tuple[Contact | None, str]:
        """The one that GoHighLevel has, where it has one of them: the other one would be made there anew."""
        live = [contact for contact in (one, other) if _is_live(link_of(contact))]
        if len(live) != 1:
            return None, ""
        return live[0], f"“{live[0]}” has to stay: it is the one that GoHighLevel has."

    def merge_hints(self, keep: Contact, drop: Contact, picks: dict[str, str]) -> list[str | SafeString]:
        mine, other = link_of(keep), link_of(drop)
        if not (_is_live(mine) and _is_live(other)):
            return []
        kept, dropped = merging.told_apart(keep, drop)
        hints: list[str | SafeString] = [
            format_html(
                "GoHighLevel has both, and only a person can merge contacts there: open "
                '<a class="text-link" href="{}">{}</a> in GoHighLevel, choose Merge, add '
                '<a class="text-link" href="{}">{}</a> and keep “{}” as the master. The opportunities of “{}” then '
                "move along; until then they stay with it there, and here with “{}”. No fetch undoes this merge.",
                mine.remote_url,
                kept,
                other.remote_url,
                dropped,
                kept,
                dropped,
                kept,
            )
        ]
        taken = [
            words
            for name, words in UNIQUE.items()
            if picks.get(name) == DROP and getattr(drop, name) and getattr(drop, name) != getattr(keep, name)
        ]
        if taken:
            hints.append(
                f"The {' and '.join(taken)} of “{dropped}” may be refused there while the other contact has it; it is "
                "sent again by itself once the two are merged there."
            )
        return hints


def _is_live(link: Link | None) -> bool:
    """Whether the contact has a half over there that is found and mirrored."""
    return link is not None and bool(link.remote_id) and not (link.gone_at or link.deleted_at or link.ignored_at)
