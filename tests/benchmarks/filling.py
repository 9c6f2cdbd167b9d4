"""Creates many sessions in PostgreSQL in one statement."""

import psycopg

from cookieproj.engines.db import SessionStore

FILL = """
    INSERT INTO django_session (session_key, session_data, expire_date)
    SELECT md5(%(name)s || number), %(data)s,
        now() + %(days)s * interval '1 day' * (0.1 + 0.9 * random())
    FROM generate_series(1, %(rows)s) AS number
"""


def fill(url: str, name: str, rows: int, days: int) -> None:
    """Create signed-in sessions that expire within that many days."""
    data = SessionStore().encode({"_auth_user_id": "7", "_auth_user_hash": "h" * 64, "cart": [1]})
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL, {"name": name, "data": data, "days": days, "rows": rows})
        connection.execute("VACUUM ANALYZE django_session")
