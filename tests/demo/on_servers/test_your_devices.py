from tests.devices.test_your_devices import *  # noqa: F403
