"""The settings SESSION_MONGODB_URL and SESSION_MONGODB_PASSWORD from MONGODB_URL."""

from urllib.parse import unquote_plus

from django.core.exceptions import ImproperlyConfigured


def url_and_password(url: str) -> tuple[str, str]:
    """Return the URL without its password, and the password, which Django's error pages hide.

    Raises ImproperlyConfigured unless PyMongo accepts the URL with all of its options, and it names
    a database. A URL of the scheme ``mongodb+srv`` is tried when it is used, as that asks a name
    server.
    """
    if not url.startswith("mongodb+srv://"):
        check(url)
    scheme, _, rest = url.partition("://")
    credentials, at, address = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    return f"{scheme}://{user}{at}{address}", unquote_plus(password)


def check(url: str) -> None:
    # Imported here, as only a site that sets the variable needs it.
    from pymongo.errors import ConfigurationError  # noqa: PLC0415
    from pymongo.uri_parser import parse_uri  # noqa: PLC0415

    from cookieproj.engines.mongodb_client import given_options  # noqa: PLC0415

    try:
        given_options(url)
        database = parse_uri(url)["database"]
    except ConfigurationError as error:
        raise ImproperlyConfigured(f"MONGODB_URL: {error}") from None
    if not database:
        raise ImproperlyConfigured(
            "MONGODB_URL: it names no database; write it as in mongodb://host:27017/name."
        )
