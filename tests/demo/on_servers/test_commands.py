from tests.demo.test_commands import *  # noqa: F403

# It starts processes, which do not have the settings of this one.
del test_progress_bar_is_shown_on_terminal_but_not_in_pipe  # noqa: F821
