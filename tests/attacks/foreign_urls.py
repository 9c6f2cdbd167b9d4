"""URLs of another site in every known spelling, and how a browser reads them."""

import re
from collections.abc import Iterator
from itertools import product

EVIL = "evil.test"

SLASHES = [
    "//", "///", "////", "/////////", "/\\", "\\/", "\\\\", "\\\\\\\\", "/\\/", "\\//", "//\\",
    "/\t/", "/\n/", "/\r/", "/\r\n/", "\t//", "/\0/", "/ /", "\\\t\\", "/\\\t", "%2f%2f", "/%2f",
    "%5c%5c", "/%5c", "/%09/", "/%0a/", "%0d%0a//", "\u2044\u2044", "\u2215\u2215", "\uff0f\uff0f",
    "/\uff0f", "/\uff3c", "\u29f8\u29f8", "/.//", "/..//", ".//", "..//", "./\\/", "/./\\", "/;//",
    "/?//", "/#//", ";//", "//;", "//@", "//:@", "//a:b@", "///a@", "/%252f/", "//%2f", "//\u3002",
    "//.",
]  # fmt: skip
SCHEMES = [
    "http", "https", "HTTP", "hTtPs", "ftp", "ws", "file", "javascript", "JavaScript", "data",
    "vbscript", "blob", "about", "mailto", "tel", "view-source", "x-evil", "java\nscript",
    "java\tscript", "ht\ntp", "jar", "feed", "\u017fcript", "\uff48ttp", "https\u2236", "%68ttp",
    "http%3a//", "http&colon;",
]  # fmt: skip
AFTER_SCHEMES = [
    ":", ":/", "://", ":///", ":////", ":\\\\", ":\\/", ":/\\", ":\t//", ":\n/\n/", ":%2f%2f",
]  # fmt: skip
PREFIXES = [
    *map(chr, range(33)), "\x7f", "\x85", "\xa0", "\u200b", "\u2028", "\ufeff", "\u3000", "%20",
    "%00", "%09", "\0//",
]  # fmt: skip
COMPLETE_URLS = [
    "javascript:alert(1)", "javascript://testserver/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>", "data:text/html;base64,PHNjcmlwdD4=",
    "vbscript:msgbox(1)", "//testserver@evil.test", "http://testserver@evil.test",
    "http://testserver:80@evil.test/", "http://testserver\\@evil.test",
    "http://testserver#@evil.test/", "http://testserver?@evil.test/",
    "http://testserver%40evil.test/", "http://testserver.evil.test/", "http://testserverevil.test/",
    "//testserver.evil.test", "http://evil.test#testserver", "http://evil.test?http://testserver",
    "http://evil.test/testserver", "http://evil.test\\testserver", "http://evil.test\\.testserver",
    "http://evil.test%00testserver", "http://evil.test%23.testserver",
    "http://testserver%00.evil.test", "http://testserver\0.evil.test",
    "http://testserver\u3002evil.test", "http://testserver\uff0eevil.test",
    "http://testserver\uff0fevil", "http://evil\uff0etest", "http://\u24d4vil.test",
    "http://test\u017ferver/", "http://\u2121/", "http://testserver:81/", "http://testserver:8080",
    "//testserver:443", "http://testserver:80.evil.test", "http://testserver:@evil.test",
    "http://:80@evil.test", "http://@evil.test", "http://@@evil.test", "http://testserver./",
    "http://xtestserver/", "http://[::1]/", "//[::1]", "http://[::ffff:7f00:1]/",
    "http://[testserver]/", "http://[::1", "//[", "//]", "http://[v1.x]/", "http://0x7f000001/",
    "http://2130706433/", "http://127.1", "http://evil", "//evil%E3%80%82test", "//evil%2etest",
    "http://testserver/\\evil.test", "http:\\testserver@evil.test", "http://testserver\t@evil.test",
    "http://testserver\n.evil.test", "https://testserver.", "//" + "a" * 3000 + ".test",
    "//evil.test" * 200, "http://" + "testserver@" * 99 + "evil.test", "\\evil.test",
    "\\\\testserver@evil.test", "?//evil.test", "http:?//evil.test", "http:#",
    "https:?next=//evil.test", "/\\/\\evil.test", "//evil.test:99999999", "//evil.test:x",
    "//\x00evil.test", "//evil.test\x00", "://evil.test", ":", "::", "//", "///", "\\", "http:",
]  # fmt: skip


def spellings() -> Iterator[str]:
    yield from COMPLETE_URLS
    yield from (f"{slashes}{EVIL}" for slashes in SLASHES)
    yield from (f"{slashes}{EVIL}/%2f.." for slashes in SLASHES)
    yield from (f"{''.join(parts)}{EVIL}" for parts in product(SCHEMES, AFTER_SCHEMES))
    for prefix in PREFIXES:
        yield from (f"{prefix}//{EVIL}", f"{prefix}https://{EVIL}", f"{prefix}javascript:alert(1)")
        yield from (f"/{prefix}/{EVIL}", f"//{prefix}{EVIL}", f"ht{prefix}tps://{EVIL}")


def leads_away(location: str, scheme: str = "http", host: str = "testserver") -> bool:
    """Whether a browser that follows the URL standard would go to another site."""
    text = re.sub("[\t\n\r]", "", location.strip("".join(map(chr, range(33)))))
    scheme_match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    target_scheme, rest = (
        (scheme_match[1].lower(), text[scheme_match.end() :]) if scheme_match else (scheme, text)
    )
    if target_scheme not in {"http", "https"}:
        return True
    slashes = rest.replace("\\", "/")
    if not slashes.startswith("//") and (target_scheme == scheme or not scheme_match):
        # It is a path.
        return False
    authority = re.split(r"[/?#]", slashes.lstrip("/"), maxsplit=1)[0]
    default = {"http": ":80", "https": ":443"}[target_scheme]
    target_host = authority.rpartition("@")[2].lower().removesuffix(default)
    # Without a host, as in "//", a browser goes nowhere.
    return target_host != "" and (target_scheme, target_host) != (scheme, host)
