from tests.demo.test_commands import *  # noqa: F403

# Other processes have other settings.
del test_a_terminal_gets_a_bar_and_a_pipe_does_not  # noqa: F821
