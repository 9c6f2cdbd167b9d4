"""Passwords that are hashed in no time: a slow hash makes nothing in the tests safer."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """What it makes can be checked by any site: which of them has Django's own hashes it anew."""

    iterations = 1
