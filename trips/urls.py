"""Where reports stand: a trip's below its page, the others at /reports/; and the search over everything. For staff."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from trips import views
from trips.admin.find import find

app_name = "trips"
_staff = admin.site.admin_view
_TRIP = "trips/trip/<int:trip_id>/reports/"

urlpatterns = [
    path(_TRIP, _staff(views.reports), name="trip_reports"),
    path(f"{_TRIP}pack/", _staff(views.departure_pack), name="departure_pack"),
    path(f"{_TRIP}<slug:code>/<slug:preset_code>/", _staff(views.report), name="trip_report"),
    path(f"{_TRIP}<slug:code>/<slug:preset_code>/file/", _staff(views.report_file), name="trip_report_file"),
    path("find/", _staff(find), name="find"),
    path("reports/", _staff(views.reports), name="office_reports"),
    path("reports/sent/<int:pk>/", _staff(views.sent_copy), name="sent_copy"),
    path("reports/<slug:code>/<slug:preset_code>/", _staff(views.report), name="office_report"),
    path("reports/<slug:code>/<slug:preset_code>/file/", _staff(views.report_file), name="office_report_file"),
]
