"""What OWASP ASVS 5.0 and NIST SP 800-63B-4 require of sessions, and whether this site meets it.

``manage.py checksessions`` and the system checks show the verdicts. Each is drawn from the site's
settings, engine, middleware, apps, addresses and templates. What these do not show is said to be
invisible, together with where to look. The texts of the requirements are short and our own.
"""
