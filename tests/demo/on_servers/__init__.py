"""What operates sessions, tested once more where the site's database is a server's."""
