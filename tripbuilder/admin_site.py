"""The staff's site: Unfold's look, our index."""

from unfold.sites import UnfoldAdminSite


class TripBuilderAdminSite(UnfoldAdminSite):
    """Its own class so that pages of ours have a place to be hung."""
