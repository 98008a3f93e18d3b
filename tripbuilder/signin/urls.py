"""The pages of the sign-in that need somebody signed in, at least by password."""

from django.contrib import admin
from django.urls import path

from tripbuilder.signin import views

app_name = "signin"
_staff = admin.site.admin_view

urlpatterns = [
    path("code/", _staff(views.code), name="code"),
    path("set-up/", _staff(views.set_up), name="set_up"),
    path("recovery-codes/", _staff(views.recovery_codes), name="recovery_codes"),
    path("mine/", _staff(views.mine), name="mine"),
    path("mine/end/", _staff(views.end_mine), name="end_mine"),
]
