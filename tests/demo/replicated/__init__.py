"""Tests of the admin, the commands and the devices pages again, reading from a replica.

The replica is up to date and read-only.
"""
