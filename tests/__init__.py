"""The tests, and the programs that they run. Importing this package installs PyMySQL."""

import pymysql

# Django imports MySQLdb. mysqlclient has no wheel for Linux.
pymysql.install_as_MySQLdb()
