"""What engines say, in a language that is not a visitor's."""

from django.utils.translation import override


def in_english(text: object) -> str:
    """For logs, and for what is signed or compared: the same whoever makes the request."""
    with override(None):
        return str(text)
