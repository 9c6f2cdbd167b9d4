from tests.demo.test_benchsessions import *  # noqa: F403

# Other processes have other settings.
del test_whoever_ends_it_finds_nothing_left  # noqa: F821
