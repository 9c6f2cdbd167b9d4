from tests.demo.test_devices import *  # noqa: F403
