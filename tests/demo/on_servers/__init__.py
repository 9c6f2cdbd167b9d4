"""Tests of the admin, the commands and the devices pages again, on PostgreSQL and MariaDB."""
