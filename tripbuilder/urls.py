"""The admin stands at the root; what the apps serve beside it comes first."""

from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("", admin.site.urls),
]
