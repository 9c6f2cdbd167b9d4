from test_sqlite import *  # noqa: F403

TEST_RUNNER = "tests.django_suite.runner.Runner"
