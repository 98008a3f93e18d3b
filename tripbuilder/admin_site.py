"""The staff's site: Unfold's look, our index."""

from unfold.sites import UnfoldAdminSite


class TripBuilderAdminSite(UnfoldAdminSite):
    enable_nav_sidebar = False
