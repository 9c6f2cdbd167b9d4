"""Names and salts in cookies, rows, sessions and addresses of this site.

Stored data depends on these values, so they must never change, like those in
``cookieproj.engines.constants``.
"""

# The cookies of login_auth, and the salt of their signature and of the proof in them. A change
# would sign out everybody who is signed in with login_auth.
LOGIN_COOKIE = "login_auth"
# The cookie over https: browsers accept a __Host- name only from this host and only over https.
SECURE_LOGIN_COOKIE = f"__Host-{LOGIN_COOKIE}"
LOGIN_SALT = "demo.login_auth"

# The salt of a session key in an address. A change would invalidate the addresses in use.
IN_PATH_SALT = "demo.session-in-path"

# The salts of the order's cookie and of the receipt in the recipes about a payment page. A change
# would invalidate those of the last 20 minutes.
ORDER_SALT = "demo.order"
RECEIPT_SALT = "demo.receipt"

# The label of the session keys of the demo data. A change would create the demo data again.
DEMODATA_LABEL = "demo.demodata"
