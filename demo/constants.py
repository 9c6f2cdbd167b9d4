"""What stands in cookies, rows, sessions and addresses of this site, and so outlives every release.

As ``cookieproj.engines.constants``, which holds the engines': none of it may become another.
"""

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
