from tests.demo.test_index import *  # noqa: F403
