"""The setting SESSION_MONGODB_URL from MONGODB_URL."""

from django.core.exceptions import ImproperlyConfigured


def accepted(url: str) -> str:
    """Return the URL if PyMongo accepts it with all of its options, and it names a database.

    Raises ImproperlyConfigured otherwise. A URL of the scheme ``mongodb+srv`` is tried when it is
    used, as that asks a name server.
    """
    # Imported here, as only a site that sets the variable needs it.
    from pymongo.errors import ConfigurationError  # noqa: PLC0415
    from pymongo.uri_parser import parse_uri  # noqa: PLC0415

    if url.startswith("mongodb+srv://"):
        return url
    try:
        database = parse_uri(url)["database"]
    except (ConfigurationError, ValueError) as error:
        raise ImproperlyConfigured(f"MONGODB_URL: {error}") from None
    if not database:
        raise ImproperlyConfigured(
            "MONGODB_URL: it names no database; write it as in mongodb://host:27017/name."
        )
    return url
