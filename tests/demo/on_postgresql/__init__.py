"""What operates sessions, tested once more where the site's database is PostgreSQL."""
