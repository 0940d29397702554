"""Brings another tool's result in as a session, and says in it what that result cannot tell."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tui.recording.foreign.result import ForeignResult, read_result
from tui.recording.foreign.seconds import second_rows
from tui.recording.home import sessions_root
from tui.recording.info import read_info
from tui.recording.writing.claim import claim
from tui.recording.writing.recorder import Recorder
from tui.records.errors import UserError
from tui.records.frame import Batch
from tui.records.rows import EventRow
from tui.records.session import LaneInfo, SessionInfo
from tui.records.text import clean

T0_NS = 0  # a result has no monotonic clock: its first request is at 0
NOT_KNOWN = (
    "due times, the end of each stream after its last token and connect times: taken as equal to their neighbours",
    "finish reasons, HTTP status and kinds of failure",
    "the server's gauges, GPUs and any change of the load",
)


def import_result(path: Path, version: str, root: Path | None = None) -> list[Path]:
    """Make a session of each result in a file of `vllm bench serve` or SGLang's benchmark; returns their folders.

    The file must have the details of each request. Raises UserError when it is no such file.
    """
    results = [read_result(raw, path) for raw in _objects(path)]
    return [_record(result, path, version, root or sessions_root()) for result in results]


def not_known(folder: Path) -> list[str]:
    """What an imported session cannot tell, each in a few words."""
    found: list[str] = read_info(folder).profile["imported"]["not_known"]
    return found


def _objects(path: Path) -> list[dict[str, Any]]:
    """One object, or one a line: both tools append to a file.

    Read with the standard library, because SGLang writes `Infinity`, which is no JSON.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): name a result file") from error
    try:
        found = [json.loads(line) for line in content.splitlines() if line.strip()]
    except ValueError:
        try:
            found = [json.loads(content)]
        except ValueError as error:
            raise UserError(f"{path} is not JSON ({error}): name a result of vLLM's or SGLang's benchmark") from error
    if not found or not all(isinstance(each, dict) for each in found):
        raise UserError(f"{path} holds no result: name a file of `vllm bench serve` or of SGLang's benchmark")
    return found


def _record(result: ForeignResult, path: Path, version: str, root: Path) -> Path:
    name = clean(f"imported_{path.stem}", 80).replace("/", "_").replace(" ", "_")
    requests, chunks = result.rows()
    end_ns = max((row.t_end_ns for row in requests), default=T0_NS) + 1
    wall_ns = result.wall_ns or path.stat().st_mtime_ns
    unknown = (*result.not_known, *NOT_KNOWN)
    info = SessionInfo(
        name=name,
        profile={
            "name": name,
            "sentence": f"imported from {result.tool}; {datetime.fromtimestamp(wall_ns / 1e9, UTC):%Y-%m-%d}",
            "imported": {"tool": result.tool, "file": path.name, "not_known": list(unknown)},
            "load": result.load,
        },
        lanes={
            "a": LaneInfo(
                url="",
                engine=result.engine,
                title=result.title,
                version=result.version,
                model=result.model,
                simulated=result.simulated,
            )
        },
        t0_ns=T0_NS,
        wall_ns=wall_ns,
        host={},
        version=version,
    )
    folder = claim(root, info)
    recorder = Recorder(folder, info)
    notes = [EventRow("", T0_NS, "note", "import", text=f"{result.tool} does not tell: {what}") for what in unknown]
    seconds = second_rows(requests, chunks, T0_NS, result.concurrency)
    recorder(Batch(end_ns, requests=requests, chunks=[("a", chunks)], seconds=seconds, events=notes))
    recorder.close(f"imported from {result.tool}", result.duration_s)
    return folder
