from tests.demo.test_auth import *  # noqa: F403
