from tests.demo.test_movesessions import *  # noqa: F403
