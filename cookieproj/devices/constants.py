"""What stands in the rows and sessions of this app, and so outlives every release.

As ``cookieproj.engines.constants``, which holds the engines': none of it may become another,
whatever the modules are called by now.
"""

# The label of the HMAC that counts a user's sign-outs into the session hash, and the salt of hashes
# that are kept when a password is hashed anew. By another, whoever has been signed out everywhere
# once, or has just been hashed anew, would be signed out.
USER = "demo.User"

# Before a session key, of which the id of an adopted row is a digest. By another the same session
# would be adopted once more: a cookie that was refused by the former id would open again.
ADOPTED = "demo.index:"

# What the session keys of the registry are encrypted for. By another none of them could be read,
# and so no session of them be ended, nor its row be found.
INDEX_SEAL = "demo.SignedInSession"

# Where a session holds the id of its row, and which expiry of its own is written there. By another
# each session would be adopted under a second id, and what is refused would open.
ROW = "_signed_in_session"
