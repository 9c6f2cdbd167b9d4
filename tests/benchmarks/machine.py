"""A description of the machine, for the figures."""

import os
import re
from pathlib import Path

from cookieproj.engines.benchmark import results


def machine() -> str:
    """The machine's processor, cores and memory, and the versions of its software."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{results.cores()} cores of {processor()}, {memory:.0f} GiB, {results.machine()}"


def processor() -> str:
    match = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match[1] if match else "an unknown processor"
