"""Every stream is an open file, and hosts limit how many a process may have."""

import resource

from tui.records.dials import MAX_STREAMS

OTHER_FILES = 64  # pipes, the event loop, libraries, connections that are being replaced


def allowed() -> int:
    """How many files a driver may open: the hard limit, which a process may raise itself to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MAX_STREAMS + OTHER_FILES
    return max(soft, needed if hard == resource.RLIM_INFINITY else min(hard, needed))


def raise_limit() -> None:
    """Allow this process as many as it may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed(), hard))


def most_streams() -> int:
    """How many streams at once that makes."""
    return min(MAX_STREAMS, max(allowed() - OTHER_FILES, 1))


def too_many(streams: int) -> str:
    """One sentence when so many cannot run here, or an empty string."""
    if streams <= most_streams():
        return ""
    return (
        f"this host allows a process {allowed()} open files, so at most {most_streams()} of {streams} streams run: "
        f"allow {streams + OTHER_FILES} with `ulimit -n`"
    )
