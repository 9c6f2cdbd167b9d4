from tests.demo.test_benchsessions import *  # noqa: F403

# It starts a process, which does not have the settings of this one.
del test_process_ended_by_signal_leaves_nothing  # noqa: F821
