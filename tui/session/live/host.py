"""The machine that makes the load."""

import os
import platform
import socket


def host_facts() -> dict[str, str]:
    """What is worth knowing of it when figures are compared later."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"name": socket.gethostname(), "system": platform.platform(), "cores": str(cores)}
