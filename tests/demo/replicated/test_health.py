from tests.demo.test_health import *  # noqa: F403
