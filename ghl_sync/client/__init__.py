"""GoHighLevel's API as plain Python: no Django, no models, no settings."""

from ghl_sync.client.api import GHLClient

__all__ = ["GHLClient"]
