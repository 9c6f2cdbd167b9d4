"""What stands in cookies, rows, sessions and addresses of this site, and so outlives every release.

As ``cookieproj.engines.constants``, which holds the engines': none of it may become another.
"""

# The label of the HMAC that counts a user's sign-outs into the session hash, and the salt of hashes
# that are kept when a password is hashed anew. By another, whoever has been signed out everywhere
# once, or has just been hashed anew, would be signed out.
USER = "demo.User"

# Before a session key, of which the id of an adopted row is a digest. By another the same session
# would be adopted once more: a cookie that was refused by the former id would open again.
ADOPTED = "demo.index:"

# What the session keys of the index are sealed for. By another none of them could be opened, and so
# no session of them be ended, nor its row be found.
INDEX_SEAL = "demo.SignedInSession"

# Where a session holds the id of its row, and which expiry of its own is written there. By another
# each session would be adopted under a second id, and what is refused would open.
ROW = "_signed_in_session"

# What session keys and positions in addresses of the admin are sealed for. By another, addresses
# that somebody has kept would lead nowhere.
INSPECTOR_SEAL = "demo.inspector"

# The cookies of login_auth, the salt of their signature and the label of the proof in them. By
# others whoever is signed in with one would be asked to sign in.
LOGIN_COOKIE = "login_auth"
# Over https: by its name browsers take it from this very host alone, and over https alone.
SECURE_LOGIN_COOKIE = f"__Host-{LOGIN_COOKIE}"
LOGIN_SALT = "demo.login_auth"

# The salt of a session key in an address. By another those in use would be over.
IN_PATH_SALT = "demo.session-in-path"

# The label of the session keys of the demo data. By another there would be a second set of them.
DEMODATA_LABEL = "demo.demodata"

# What the session keys of a benchmark begin with: by that one knows those of one that was killed.
NAMESPACE = "benchsessions"
