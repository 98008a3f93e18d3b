"""What was installed of a role, so that a later version knows what an administrator has changed since."""

from __future__ import annotations

from django.db import models


class InstalledRole(models.Model):
    """The group of a role and its permissions as they were installed; no group where an administrator deleted it."""

    code = models.SlugField(primary_key=True)
    group = models.OneToOneField("auth.Group", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    permissions = models.JSONField(default=list)

    class Meta:
        default_permissions = ()  # only the program writes it

    def __str__(self) -> str:
        return self.code
