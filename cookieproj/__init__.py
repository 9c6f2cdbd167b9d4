"""Session engines for Django, and who is signed in where: two apps for any site."""

__version__ = "0.2"
