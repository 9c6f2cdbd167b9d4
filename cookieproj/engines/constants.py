"""Names and values that are stored in cookies, rows, caches and files: they never change.

If one changed, because a module, a class or a package is renamed for instance, stored sessions
would end, and some ended ones would open again. ``tests/test_names_in_data.py`` checks each value
and its use.
"""

from typing import Any

from django.contrib.messages.storage.session import SessionStorage

# Engines. The registry of signed-in sessions stores an engine's name, or the dotted path of one
# that is neither Django's nor ours. Benchmark files and SESSION_ENGINE contain paths. Under changed
# names, rows of the registry would belong to an unknown engine, and their sessions could not be
# ended.
DJANGO_ENGINE_NAMES = ("db", "cache", "file", "cached_db", "signed_cookies")
ENGINE_NAMES = (*DJANGO_ENGINE_NAMES, "encrypted_cookies", "mongodb")
DB, CACHE, FILE, CACHED_DB, SIGNED_COOKIES, ENCRYPTED_COOKIES, MONGODB = ENGINE_NAMES
OUR_ENGINES = "cookieproj.engines."
# Django's engines have the same wire format, so ours read what they have stored.
DJANGO_ENGINES = "django.contrib.sessions.backends."

# Salts. Django signs rows and files with the class's qualified name after a prefix of its own, and
# cookies with a module's name. With changed salts no stored session could be read.
STORE_SALT = "django.contrib.sessions.SessionStore"
COOKIE_SALT = "django.contrib.sessions.backends.signed_cookies"

# The beginning of an encrypted cookie, which no session key and no signed cookie has; and the label
# that its key is derived for and that is authenticated with it. With changed ones no such cookie
# could be read.
ENCRYPTED_COOKIE_PREFIX = "e1."
ENCRYPTED_COOKIE_LABEL = "cookieproj.engines.encrypted_cookies"

# The collection of sessions in MongoDB. In another one no stored session would be found.
MONGODB_COLLECTION = "django_session"

# The salt of signed session ids. With another one each would be refused.
SESSION_ID_SALT = "cookieproj.engines.signed_ids"

# Labels of digests in a handover. With the first it finds the entry that a signed cookie was
# exchanged for, and recognizes the store of a session key in a cookie. The second marks the copies
# of old versions. With changed labels each cookie would be exchanged once more, even after a
# sign-out.
HANDOVER_LABEL = "cookieproj.engines.handover"
OLD_COPY_LABEL = "cookieproj.engines.handover.copies"

# Entries in which Django stores the argument of set_expiry, and messages. Django would not find
# them under changed names.
EXPIRY_ITEM = "_session_expiry"
MESSAGES_ITEM = SessionStorage.session_key

# When the session's user last proved who they are, in seconds since 1970. Under a changed name the
# absolute timeout of each session would begin anew.
AUTH_TIME = "_session_auth_time"

# Since when a session has its key, in seconds since 1970; and the key that it had before, until the
# browser has sent the new one. Under changed names keys would not be renewed when they are due, and
# the previous key would not end.
KEY_SINCE = "_session_key_since"
RENEWED_FROM = "_session_renewed_from"

# What is stored under a key that was renewed: the new key, under this name. Under another name a
# request with the previous key would find an empty session.
RENEWED_TO = "_session_renewed_to"

# Beside it, if SESSION_END_COPIED is set: since when the browser has the new key, in seconds since
# 1970. Under another name the previous key would lead to the session again.
RENEWAL_ENDED = "_session_renewal_ended"

# In a cookie that a handover has exchanged for a session key: that key, whether the browser has
# sent the cookie since, and the name of the key's store. Under a changed name the session would
# miss what is written under the key, and would not end with it.
EXCHANGED_KEY = "_session_former"

# In the old store: marks a session whose browser has sent the cookie that its key was exchanged
# for. Under a changed name a late request would exchange the key again.
EXCHANGED_FOR_COOKIE = "_session_exchanged"

# In the entry that represents a cookie: what its session key was derived from. Under a changed name
# that entry would count as a session, and a cookie would be exchanged twice.
MADE_WITH = "_session_key_made_with"

# In the data of a copy: its original, and the store of that. Under a changed name the copy would
# count as a session of its own and outlive its original.
COPY_MARK = "_session_copy"
# In a session that the new store already had when ``movesessions`` deleted it from the old one.
REMOVED_FROM_SOURCE: dict[str, Any] = {COPY_MARK: "removed"}

# A tombstone, which a handover stores under the key of an ended session: a request that has read
# the session before cannot store it again. No engine, in a handover or not, treats it as a session.
# With a changed value it would be a session, and an ended session could return.
SESSION_TOMBSTONE: dict[str, Any] = {"_session_ended": True}

# The tombstone of a session that has ended by SESSION_END_COPIED, under its current key: so whoever
# sends that key learns why. With a changed value it would be a session.
COPIED_TOMBSTONE: dict[str, Any] = {"_session_ended": "copied"}

# Another tombstone, which ``movesessions`` stores in the old store if the new one already had the
# session. Under this name it contains the moved data, for a request that is about to move it too.
MOVED_TOMBSTONE = "_session_moved"

# A probe stores this for a moment. Its value is of no importance to the result.
PROBE_ITEM = "_probe"

# The start of a tombstone in a cache, which lasts some minutes. No serializer can read it: it is no
# JSON, no pickle and no number. If it changed, processes of two releases would treat each other's
# tombstones as damaged data.
TOMBSTONE_MARK = b"~"

# In a folder of sessions: the lock files, and a part of the name of a temporary file. If they
# changed, processes of two releases would not wait for each other, and would not delete what an
# older interrupted write has left.
LOCK_COUNT = 64
LOCK_NAME = ".{prefix}.lock{number:02}"
UNFINISHED_INFIX = "_out_"

# The purpose for which session keys and positions in URLs of the admin are encrypted. If it
# changed, bookmarked URLs would not work any more.
INSPECTOR_SEAL = "demo.inspector"

# The start of a benchmark's session keys, by which the leftovers of a killed benchmark are found.
BENCHMARK_KEY_PREFIX = "benchsessions"
