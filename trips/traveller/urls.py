"""The addresses of a traveller's form. None of them holds the link's secret."""

from __future__ import annotations

from django.urls import path

from trips.traveller import views

app_name = "traveller"

urlpatterns = [
    path("", views.start, name="start"),
    path("sent/", views.sent, name="sent"),
    path("<uuid:uid>/", views.overview, name="form"),
    path("<uuid:uid>/sign/", views.sign, name="sign"),
    path("<uuid:uid>/<slug:step>/", views.step, name="step"),
]
