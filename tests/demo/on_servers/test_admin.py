from tests.demo.test_admin import *  # noqa: F403

# It has its own databases.
del test_values_that_postgresql_refuses_redirect_to_list  # noqa: F821
