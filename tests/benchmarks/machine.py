"""What machine a figure was made on."""

import os
import re
from pathlib import Path

from cookieproj.engines.benchmark import results


def machine() -> str:
    """Its processor, cores and memory, and what runs on it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{results.cores()} cores of {processor()}, {memory:.0f} GiB, {results.machine()}"


def processor() -> str:
    told = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return told[1] if told else "a processor without a name"
