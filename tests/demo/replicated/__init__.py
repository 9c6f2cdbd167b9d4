"""What operates sessions, tested once more on a site that reads from a replica.

The replica is up to date, and takes no writes.
"""
