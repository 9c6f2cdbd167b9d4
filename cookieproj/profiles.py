"""Profiles: a profile is a session engine and its store. SESSION_PROFILE names the one to run."""

import os

from django.core.exceptions import ImproperlyConfigured

PROFILES = ("db", "cache", "file", "cached_db", "signed_cookies", "encrypted_cookies", "mongodb")


def use_profile() -> None:
    """Set DJANGO_SETTINGS_MODULE to the settings of the profile.

    SESSION_PROFILE wins over a DJANGO_SETTINGS_MODULE that is set already. With neither the
    profile is ``db``. ``--settings`` on the command line wins over both, since Django reads it
    later.

    Raises ImproperlyConfigured for a name that is no profile.
    """
    profile = os.environ.get("SESSION_PROFILE")
    if profile:
        os.environ["DJANGO_SETTINGS_MODULE"] = settings_module(profile)
    else:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module("db"))


def settings_module(profile: str) -> str:
    if profile not in PROFILES:
        raise ImproperlyConfigured(
            f"SESSION_PROFILE={profile!r} is no profile; choose one of {', '.join(PROFILES)}."
        )
    return f"cookieproj.settings.{profile}"
