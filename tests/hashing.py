"""A fast password hasher for tests."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """Its hashes can be checked by any site. A site with Django's hasher rehashes them."""

    iterations = 1
