from tests.demo.test_admin import *  # noqa: F403

# It brings databases of its own.
del test_what_a_database_cannot_look_up  # noqa: F821
