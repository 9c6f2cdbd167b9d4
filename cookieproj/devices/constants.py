"""Names and values that this app stores in rows and sessions: they never change.

``cookieproj.engines.constants`` has those of the engines. ``tests/test_names_in_data.py`` checks
each value.
"""

# The salt of the HMAC that includes a user's sign-outs in the session hash, and of the signatures
# of hashes that are kept when a password is hashed again. Under a changed salt each user with such
# a sign-out or hash would be signed out.
SESSION_HASH_SALT = "demo.User"

# The label of the digest that derives a row's id from a session key, for a session that was signed
# in before the registry knew it. Under a changed label the session would get a second row, and a
# cookie that is refused by the first row's id would open the session again.
ROW_ID_LABEL = "demo.index:"

# The purpose for which the registry encrypts session keys. If it changed, no stored key could be
# decrypted: the sessions could not be ended, and rows could not be found by their keys.
REGISTRY_SEAL = "demo.SignedInSession"

# In a session: the id of its row, and the session's own expiry when the row was last written. Under
# a changed name each session would get a second row, and refused sessions would open.
ROW_ITEM = "_signed_in_session"

# In a session: its binding to the key of a device. Under a changed name bound sessions would be
# unbound. The salts of the three signatures: under changed ones each browser would have to prove
# its key once more.
BINDING_ITEM = "_session_binding"
BOUND_COOKIE_SALT = "cookieproj.devices.bound_cookie"
CHALLENGE_SALT = "cookieproj.devices.bound_challenge"
DEMAND_SALT = "cookieproj.devices.bound_demand"

# The bound cookie; those that ask for a proof at this moment, with a number; the bound cookie that
# these have replaced; and that of a visitor's session. All without their prefix. Browsers renew the
# name that they were told: under a changed one bound users would be signed out.
BOUND_COOKIE = "bound_session"
DEMANDED_COOKIE = "proof_demanded"
PREVIOUS_COOKIE = "previous_bound_session"
VISITOR_COOKIE = "visitor_session"

# The cookie with the id of a browser, the salt of its signature, and the label of the digest that a
# row of ``KnownDevice`` stores. If one changed, each device would be a new one.
DEVICE_COOKIE = "known_device"
DEVICE_COOKIE_SALT = "cookieproj.devices.device_cookie"
DEVICE_LABEL = "cookieproj.devices.known_device:"
