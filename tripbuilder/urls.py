"""The admin stands at the root; what the apps serve beside it comes first."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.utils.functional import lazy
from django.views.generic import RedirectView

urlpatterns = [
    # Browsers ask for it at the root whatever a page says.
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("favicon.ico"))),
    path("ghl/", include("ghl_sync.urls")),
    path("form/", include("trips.traveller.urls")),
    path("sign-in/", include("tripbuilder.signin.urls")),
    path("", include("trips.urls")),
    path("", admin.site.urls),
]
