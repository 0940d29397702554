"""May these two be compared? Everything that could make the numbers mean something else, side by side."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tui.analysis.fairness import Difference, differences, reason, shared_gpus, standing
from tui.engines.recognise import Found
from tui.profile.model import Profile
from tui.records.errors import UserError
from tui.records.rows import LANES, Lane
from tui.session.doctor.examining import Examined, examine_lane, glance
from tui.session.doctor.rows import (
    Host,
    Row,
    load_rows,
    place_rows,
    server_rows,
    shared_whole_gpus,
    streams_of,
    term_rows,
)

SPECIAL_TOKENS = 2  # a beginning and an end


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The table and the sentence that answers the question."""

    rows: Sequence[Row]
    sentence: str
    comparable: bool
    differences: Sequence[Difference] = field(default_factory=tuple)


async def examine(profile: Profile) -> DoctorReport:
    """Examine every lane of a profile at once. UserError when a lane has no URL to ask."""
    servers = {lane: server for lane, server in zip(LANES, (profile.a, profile.b), strict=True) if server is not None}
    for lane, server in servers.items():
        if not server.url:
            raise UserError(f"lane {lane.upper()} has no url yet: doctor examines servers that run")
    lanes = await asyncio.gather(*(examine_lane(lane, server) for lane, server in servers.items()))
    return report(profile, lanes, Host.here())


async def apart(profile: Profile, found: Mapping[Lane, Found]) -> list[Difference]:
    """In what two recognised servers differ: the part of an examination that costs no generation."""
    if profile.b is None or len(found) < len(LANES):
        return []
    lanes = await asyncio.gather(glance("a", profile.a, found["a"]), glance("b", profile.b, found["b"]))
    a, b = lanes
    # Tokenizers' endpoints disagree about special tokens, which a request of ids does not have.
    if abs((a.prompt_tokens or 0) - (b.prompt_tokens or 0)) <= SPECIAL_TOKENS:
        a.prompt_tokens = b.prompt_tokens
    return _differences(profile, lanes)


def _differences(profile: Profile, lanes: Sequence[Examined]) -> list[Difference]:
    """The gravest first."""
    a, b = lanes
    found = differences(a.comparable(), b.comparable(), streams=streams_of(profile), waived=profile.waive)
    if profile.mode != "alternate" and (shared := shared_whole_gpus(lanes)):
        found.insert(0, shared_gpus(shared, waived=profile.waive))
    return found


def report(profile: Profile, lanes: Sequence[Examined], host: Host) -> DoctorReport:
    """Put together what was found."""
    known = [lane.comparable() for lane in lanes]
    both = len(lanes) == len(LANES) and not any(lane.trouble for lane in lanes)
    found = _differences(profile, lanes) if both else []
    rows = [
        *server_rows(lanes),
        *term_rows(known, found),
        *load_rows(profile, known),
        *place_rows(profile, lanes, host, found),
    ]
    sentence, comparable = _sentence(lanes, found, rows)
    return DoctorReport(rows, sentence, comparable, found)


def text(told: DoctorReport) -> str:
    """The report as a plain table; nothing in it depends on colour."""
    marks = {"same": " ", "unknown": "?", "note": "~", "wrong": "!"}
    label = max(len(row.label) for row in told.rows)
    width = max([12, *(len(value) for row in told.rows for value in row.values[:1])])
    lines = []
    for row in told.rows:
        values = "  ".join(value.ljust(width) for value in row.values)
        lines.append(f"{marks[row.mark]} {row.label.ljust(label)}  {values}".rstrip())
        lines += [f"    {line}" for line in row.lines]
    return "\n".join([*lines, "", told.sentence])


def _sentence(lanes: Sequence[Examined], found: Sequence[Difference], rows: Sequence[Row]) -> tuple[str, bool]:
    for lane in lanes:
        if lane.trouble:
            return f"lane {lane.lane.upper()} cannot be measured: {lane.trouble}", False
    if len(lanes) == 1:
        return "the server can be measured", True
    if standing(found):
        return reason(found), False
    if wrong := next((row for row in rows if row.mark == "wrong"), None):
        return f"not comparable yet: {'; '.join(wrong.lines)}", False
    untold = [row.label for row in rows if row.mark == "unknown" and "?" in row.values]
    sure = f"; not told by both: {', '.join(untold)}" if untold else ""
    waived = [difference.label for difference in found if difference.waived]
    but = f"; waived: {', '.join(waived)}" if waived else ""
    return f"comparable: nothing known stands between them{but}{sure}", True
