"""URLs of the devices page, and of what every page of a signed-in user has."""

from django.urls import path

from . import session_views, views
from .bound import views as bound_views

app_name = "cookieproj_devices"
urlpatterns = [
    path("", views.your_devices, name="list"),
    path("sign-out/", session_views.sign_out, name="sign-out-here"),
    path("stay/", session_views.stay, name="stay"),
    path("status/", session_views.status, name="status"),
    path("bound/register/", bound_views.register, name="bound-register"),
    path("bound/renew/", bound_views.renew, name="bound-renew"),
    path("sign-out-others/", views.sign_out_others, name="sign-out-others"),
    path("<uuid:pk>/sign-out/", views.sign_out_one, name="sign-out"),
]
