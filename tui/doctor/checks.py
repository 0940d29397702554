"""The rows of doctor's table: what was found of each lane, and what a difference means.

May these two be compared? Everything that could make the numbers mean something else, side by side.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tui.doctor.examine import LaneCheck, examine_lane, quick_check
from tui.engines.detect import DetectedServer
from tui.engines.settings import flag_for
from tui.judge.comparable import Difference, differences, reason, shared_gpus, standing, written
from tui.model.profile import Profile
from tui.model.rows import LANES, Lane
from tui.model.session import LaneInfo
from tui.model.settings import ENGINE_SETTINGS
from tui.model.text import UserError
from tui.profile.reading import lane_dials

Mark = Literal["same", "unknown", "note", "wrong"]
COLD_TOKENS = 1_000.0
MIG = " MIG"
BUSY_SHARE = 0.7
FILES_BESIDE = 128  # what a driver opens besides its streams


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, and what is to be said about it."""

    label: str
    values: tuple[str, ...]  # one a lane
    mark: Mark = "same"
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that makes the load."""

    cores: int
    load: float  # processes that wanted a core, over the last minute
    files: int | None  # that a process may open; None: any number

    @classmethod
    def here(cls) -> Host:
        """This one, now."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return cls(os.cpu_count() or 1, os.getloadavg()[0], None if limit == resource.RLIM_INFINITY else limit)


def streams_of(profile: Profile) -> int | None:
    """The most streams that the load can have at once; None when it is not limited."""
    dials = [lane_dials(profile, lane) for lane in (profile.a, profile.b) if lane is not None]
    if profile.plan or any(each.arrival != "closed" for each in dials):
        return None
    return max(each.concurrency for each in dials)


def server_rows(lanes: Sequence[LaneCheck]) -> list[Row]:
    infos = [lane.found.info if lane.found is not None else None for lane in lanes]
    rows = [
        Row("lane", tuple(lane.lane.upper() for lane in lanes)),
        Row("url", tuple(lane.url for lane in lanes)),
        Row("engine", tuple("?" if info is None else _engine(info) for info in infos)),
        _reachable(lanes),
    ]
    if all(lane.trouble for lane in lanes):
        return rows
    rows.append(_usage(lanes))
    opinions = tuple("?" if lane.streamed is None else lane.opinion or "agrees" for lane in lanes)
    disagree = any(lane.opinion for lane in lanes)
    rows.append(
        Row("openai client", opinions, "note" if disagree else "same",
            ("at temperature 0 the same request should give the same answer twice",) if disagree else ())
    )  # fmt: skip
    notes = tuple(lane.found.metrics_note for lane in lanes if lane.found is not None and lane.found.metrics_note)
    metrics = tuple("?" if lane.found is None else "on" if lane.found.metrics_url else "off" for lane in lanes)
    rows.append(Row("metrics", metrics, "note" if notes else "same", notes))
    rows.append(_warmth(lanes))
    return rows


def _engine(info: LaneInfo) -> str:
    return ("SIMULATED " if info.simulated else "") + f"{info.title} {info.version}".strip()


def _reachable(lanes: Sequence[LaneCheck]) -> Row:
    values = tuple("no" if lane.trouble else f"in {lane.answer_ms or 0:.0f} ms" for lane in lanes)
    troubles = tuple(lane.trouble for lane in lanes if lane.trouble)
    return Row("answers", values, "wrong" if troubles else "same", troubles)


def _usage(lanes: Sequence[LaneCheck]) -> Row:
    told = [None if lane.streamed is None else lane.streamed.output_tokens is not None for lane in lanes]
    values = tuple("?" if each is None else "yes" if each else "no" for each in told)
    effect = "without usage tokens are counted as chunks, which may hold several"
    return Row("streams usage", values, "note", (effect,)) if False in told else Row("streams usage", values)


def _warmth(lanes: Sequence[LaneCheck]) -> Row:
    served = [lane.tokens_served for lane in lanes]
    cold = [count is not None and count < COLD_TOKENS for count in served]
    values = tuple(
        "?" if count is None else f"{written(int(count))} tokens" + (", cold" if is_cold else "")
        for count, is_cold in zip(served, cold, strict=True)
    )
    effect = "a cold server compiles and tunes in its first requests: let the load run a minute before you judge"
    return Row("served so far", values, "note" if any(cold) else "same", (effect,) if any(cold) else ())


def term_rows(known: Sequence[Mapping[str, object]], found: Sequence[Difference]) -> list[Row]:
    by_key = {difference.key: difference for difference in found}
    rows = []
    for term in ENGINE_SETTINGS:
        told = [lane.get(term.key) for lane in known]
        if all(value is None for value in told):
            continue
        values = tuple("?" if value is None else written(value, term.key) for value in told)
        difference = by_key.get(term.key)
        if difference is not None:
            rows.append(Row(term.label, values, _mark(difference), _advice(difference, known)))
        else:
            rows.append(Row(term.label, values, "unknown" if None in told else "same"))
    notes = tuple(str(lane["note"]) for lane in known if lane.get("note"))
    return [*rows, Row("not told", tuple("" for _ in known), "unknown", notes)] if notes else rows


def _mark(difference: Difference) -> Mark:
    return "wrong" if difference.severity == "incomparable" and not difference.waived else "note"


def _advice(difference: Difference, known: Sequence[Mapping[str, object]] = ()) -> tuple[str, ...]:
    lines = [difference.effect + (" (waived)" if difference.waived else "")]
    for lane, settings, other, wanted in zip("AB", known, "BA", (difference.b, difference.a), strict=False):
        if flag := flag_for(settings, difference.key, wanted):
            lines.append(f"{lane} like {other}: {flag}")
    lines += [f"or accept it: --waive {difference.key}"] if _mark(difference) == "wrong" else []
    return tuple(lines)


def load_rows(profile: Profile, known: Sequence[Mapping[str, object]]) -> list[Row]:
    """Whether the load fits what the servers hold."""
    dials = (lane_dials(profile, server) for server in profile.lanes.values())
    longest = [each.prompt_tokens + round(each.output_tokens * (1 + profile.load.output_jitter)) for each in dials]
    values = tuple(f"{length:,} tokens a request" for length in longest)
    for length, lane in zip(longest, known, strict=False):
        context = lane.get("max_model_len")
        if isinstance(context, int) and length > context:
            why = f"requests are longer than the context of {context:,}: some engines cut the answer, others refuse"
            return [Row("load", values, "wrong", (why,))]
    streams = streams_of(profile)
    for length, lane in zip(longest, known, strict=False):
        pool = lane.get("kv_tokens")
        if streams is not None and isinstance(pool, int) and length * streams > pool:
            why = (
                f"{streams} streams of this length need more than {pool:,} KV tokens: some will wait or be preempted"
            )
            return [Row("load", values, "note", (why,))]
    return [Row("load", values)]


def place_rows(
    profile: Profile, lanes: Sequence[LaneCheck], host: Host, found: Sequence[Difference] = ()
) -> list[Row]:
    """Where the engines run, and whether they or we are in each other's way."""
    rows = [_gpu_row(lanes, found)]
    if len(lanes) == len(LANES) and all(lane.here and not lane.gpus for lane in lanes):
        why = f"both take from the same {host.cores} cores of this host"
        rows.append(Row("host", ("here", "here"), "note", (why,)))
    busy = host.load > host.cores * BUSY_SHARE
    why = "what else runs here may make the client late: numbers on a busy host are marked client-bound"
    load = f"{host.load:.1f} on {host.cores} cores"
    rows.append(Row("load of this host", (load,), "note" if busy else "same", (why,) if busy else ()))
    needed = (streams_of(profile) or 1024) + FILES_BESIDE
    few = host.files is not None and host.files < needed
    why = f"this load may need {needed}: raise it with ulimit -n {needed}"
    limit = "any number" if host.files is None else f"up to {host.files:,}"
    rows.append(Row("open files", (limit,), "wrong" if few else "same", (why,) if few else ()))
    return rows


def shared_whole_gpus(lanes: Sequence[LaneCheck]) -> set[int]:
    """The GPUs that both lanes' engines run on, but for those that MIG splits between them."""
    return {gpu for gpu in _shared(lanes) if not lanes[0].gpus[gpu].endswith(MIG)}


def _shared(lanes: Sequence[LaneCheck]) -> set[int]:
    """GPUs of one number that one exporter shows, or this host's own driver."""
    if len(lanes) < len(LANES) or lanes[0].dcgm != lanes[1].dcgm or not all(lane.dcgm or lane.here for lane in lanes):
        return set()
    return set.intersection(*(set(lane.gpus) for lane in lanes))


def _gpu_row(lanes: Sequence[LaneCheck], found: Sequence[Difference]) -> Row:
    numbers = tuple(", ".join(map(str, lane.gpus)) or "none seen" for lane in lanes)
    if both := next((difference for difference in found if difference.key == "shared_gpu"), None):
        lines = (both.sentence, *_advice(both)) if both.waived else (both.sentence,)
        return Row("GPU numbers", numbers, _mark(both), lines)
    if split := sorted(_shared(lanes) - shared_whole_gpus(lanes)):
        which = ", ".join(map(str, split))
        why = f"both use GPU {which}, which is split: their instances share its power and its clocks"
        return Row("GPU numbers", numbers, "note", (why,))
    notes = tuple(dict.fromkeys(lane.gpu_note for lane in lanes if lane.gpu_note))
    if notes:
        return Row("GPU numbers", numbers, "unknown", notes)
    too_many = tuple(
        f"lane {lane.lane.upper()} uses {used} of these {len(lane.gpus)}: name them with gpus = [...]"
        for lane in lanes
        if (used := lane.settings.get("tensor_parallel")) and len(lane.gpus) > used
    )
    return Row("GPU numbers", numbers, "note" if too_many else "same", too_many)


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
    for lane, server in profile.lanes.items():
        if not server.url:
            raise UserError(f"lane {lane.upper()} has no url yet: doctor examines servers that run")
    lanes = await asyncio.gather(*(examine_lane(lane, server) for lane, server in profile.lanes.items()))
    return report(profile, lanes, Host.here())


async def setting_differences(profile: Profile, found: Mapping[Lane, DetectedServer]) -> list[Difference]:
    """In what two recognised servers differ: the part of an examination that costs no generation."""
    if profile.b is None or len(found) < len(LANES):
        return []
    lanes = await asyncio.gather(quick_check("a", profile.a, found["a"]), quick_check("b", profile.b, found["b"]))
    a, b = lanes
    # Tokenizers' endpoints disagree about special tokens, which a request of ids does not have.
    if abs((a.prompt_tokens or 0) - (b.prompt_tokens or 0)) <= SPECIAL_TOKENS:
        a.prompt_tokens = b.prompt_tokens
    return _differences(profile, lanes)


def _differences(profile: Profile, lanes: Sequence[LaneCheck]) -> list[Difference]:
    """The gravest first."""
    a, b = lanes
    found = differences(a.comparable(), b.comparable(), streams=streams_of(profile), waived=profile.waive)
    if profile.mode != "alternate" and (shared := shared_whole_gpus(lanes)):
        found.insert(0, shared_gpus(shared, waived=profile.waive))
    return found


def report(profile: Profile, lanes: Sequence[LaneCheck], host: Host) -> DoctorReport:
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


def _sentence(lanes: Sequence[LaneCheck], found: Sequence[Difference], rows: Sequence[Row]) -> tuple[str, bool]:
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
