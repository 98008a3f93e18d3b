"""The one address of the sync that is no page of the admin."""

from django.urls import path

from ghl_sync import webhooks

urlpatterns = [
    path("webhook/", webhooks.receive, name="ghl_webhook"),
    path("webhook", webhooks.receive),  # a redirect would lose the body
]
