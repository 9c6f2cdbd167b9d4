from tests.devices.test_session_registry import *  # noqa: F403
