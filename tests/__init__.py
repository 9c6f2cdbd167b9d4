"""Tests, and the programs that they run: each has this package, so each has the driver."""

import pymysql

# Under the name that Django looks for; mysqlclient has no wheel for Linux.
pymysql.install_as_MySQLdb()
