"""What stands in cookies, rows, caches and files, and so outlives every release.

None of it may become another when a module, a class or a package does: sessions that are stored
would end, and some that have ended would open again. ``tests/test_names_in_data.py`` holds each to
its value, and to what it does.
"""

from typing import Any

from django.contrib.messages.storage.session import SessionStorage

# Engines. The registry of signed-in sessions holds a name, or the dotted path of an engine of
# neither family; a benchmark's file and SESSION_ENGINE hold paths. By another name rows would be
# those of an engine that is gone: their sessions could not be ended.
ENGINE_NAMES = ("db", "cache", "file", "cached_db", "signed_cookies")
DB, CACHE, FILE, CACHED_DB, SIGNED_COOKIES = ENGINE_NAMES
OUR_ENGINES = "cookieproj.engines."
# Of the same wire format, so ours reads what they have stored.
DJANGO_ENGINES = "django.contrib.sessions.backends."

# Salts. Django signs rows and files with the qualified name of the class behind its own prefix, and
# cookies with the name of a module: by others no stored session could be read.
STORE_SALT = "django.contrib.sessions.SessionStore"
COOKIE_SALT = "django.contrib.sessions.backends.signed_cookies"

# Labels of digests that a handover makes. By the first it finds the entry that a signed cookie was
# exchanged for, and knows the store of a session key in a cookie; the second marked copies before
# there were better ones. By others each cookie would be exchanged once more, after a sign-out too.
HANDOVER_LABEL = "cookieproj.engines.handover"
OLD_COPY_LABEL = "cookieproj.engines.handover.copies"

# Entries of a session: where Django keeps what set_expiry was given, and messages. By others both
# would be lost to it.
EXPIRY_ITEM = "_session_expiry"
MESSAGES_ITEM = SessionStorage.session_key

# In a cookie that a handover has exchanged for a session key: that key, whether the browser has
# sent the cookie since, and by what one knows the store of the key. By another a session would not
# follow what was written under the key, nor end there.
EXCHANGED_KEY = "_session_former"

# In the old store: the browser has sent back what its session key was exchanged for. By another a
# late request would exchange it again.
EXCHANGED_FOR_COOKIE = "_session_exchanged"

# In the entry that stands for a cookie: what its session key was made with. By another that entry
# would be taken for a session, and a cookie exchanged twice.
MADE_WITH = "_session_key_made_with"

# In the data of a copy: what it was made of, and from which store. By another it would be taken for
# a session of its own, and outlive its original.
COPY_MARK = "_session_copy"
# In a session that the new store had already when ``movesessions`` removed it from the old one.
REMOVED_FROM_SOURCE: dict[str, Any] = {COPY_MARK: "removed"}

# A tombstone: what a handover leaves under the key of a session that has ended, so that who read
# it before that cannot store it again. It is no session to any engine, handing over or not. By
# another it would be one, and what has ended could come back.
SESSION_TOMBSTONE: dict[str, Any] = {"_session_ended": True}

# Another one, which ``movesessions`` leaves in the old store where the new one had the session
# already. Under that name it holds what was taken from there, for whoever is about to take it.
MOVED_TOMBSTONE = "_session_moved"

# What a probe stores for a moment. By another it would not find out less.
PROBE_ITEM = "_probe"

# With what a tombstone in a cache begins, for some minutes. No serializer reads it: not JSON, not a
# pickle, not a number. With another, processes of two releases would take it for damage.
TOMBSTONE_MARK = b"~"

# In a folder of sessions: the lock files, and what is in the name of a file that is being written.
# With others, processes of two releases would not wait for each other, nor sweep up after an
# interruption of before.
LOCKS = 64
LOCK_NAME = ".{prefix}.lock{number:02}"
UNFINISHED = "_out_"

# What session keys and positions in addresses of the admin are sealed for. By another, addresses
# that somebody has kept would lead nowhere.
INSPECTOR_SEAL = "demo.inspector"

# What the session keys of a benchmark begin with: by that one knows those of one that was killed.
BENCHMARK_KEY_PREFIX = "benchsessions"
