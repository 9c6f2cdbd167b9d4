"""URLs of the devices page."""

from django.urls import path

from . import views

app_name = "cookieproj_devices"
urlpatterns = [
    path("", views.your_devices, name="list"),
    path("sign-out-others/", views.sign_out_others, name="sign-out-others"),
    path("<uuid:pk>/sign-out/", views.sign_out_one, name="sign-out"),
]
