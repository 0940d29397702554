"""May these servers be compared? Everything that could make the figures mean something else, lane by lane."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tui.doctor.examine import LaneCheck, examine_lane, quick_check
from tui.engines.detect import DetectedServer
from tui.engines.settings import flag_for
from tui.judge.comparable import Difference, differences, format_value, grave, reason, shared_gpus
from tui.judge.plausible import Answers, Doubt, doubts_of, doubts_of_most
from tui.model.profile import Profile
from tui.model.rows import LANES, Lane, TokensFrom
from tui.model.session import LaneInfo
from tui.model.settings import ENGINE_SETTINGS
from tui.model.text import UserError
from tui.net.sse import MAX_TOKEN_BYTES
from tui.profile.reading import lane_dials

Mark = Literal["same", "unknown", "note", "wrong"]
MARKS: dict[Mark, str] = {"same": " ", "unknown": "?", "note": "~", "wrong": "!"}
FIRST_ANSWER_S = 30.0  # how long it may take, or as long as a request may
COLD_TOKENS = 1_000.0
MIG = " MIG"
BUSY_SHARE = 0.7
OTHER_FILES = 128  # what a driver opens besides its streams
RATE_STREAMS = 1024  # allowed for where an arrival rate sets no limit
SPECIAL_TOKENS = 2  # a beginning and an end


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, with the lines that explain it."""

    label: str
    values: tuple[str, ...]  # one a lane
    mark: Mark = "same"
    lines: tuple[str, ...] = ()


def _row(label: str, values: Sequence[str], *problems: str, mark: Mark = "note") -> Row:
    """A row that is marked when there is a problem; empty ones are none."""
    lines = tuple(filter(None, problems))
    return Row(label, tuple(values), mark if lines else "same", lines)


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that makes the load."""

    cores: int
    load: float  # processes that wanted a core, over the last minute
    files: int | None  # that a process may open; None: any number

    @classmethod
    def here(cls) -> Host:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return cls(os.cpu_count() or 1, os.getloadavg()[0], None if limit == resource.RLIM_INFINITY else limit)


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The table and the sentence that answers the question."""

    rows: Sequence[Row]
    sentence: str
    comparable: bool


async def examine(profile: Profile) -> DoctorReport:
    """Examine every lane of a profile at once. UserError when a lane has no URL to ask."""
    for lane, lane_profile in profile.lanes.items():
        if not lane_profile.url:
            raise UserError(f"lane {lane.upper()} has no url: doctor examines servers that run")
    patience_s = max(FIRST_ANSWER_S, profile.load.read_timeout_s)
    checks = await asyncio.gather(*(examine_lane(*each, patience_s) for each in profile.lanes.items()))
    return report(profile, checks, Host.here())


async def setting_differences(profile: Profile, servers: Mapping[Lane, DetectedServer]) -> list[Difference]:
    """How two detected servers differ: the part of an examination that generates nothing."""
    if profile.b is None or len(servers) < len(LANES):
        return []
    a, b = await asyncio.gather(*(quick_check(lane, profile.lanes[lane], servers[lane]) for lane in LANES))
    # Tokenizers' endpoints disagree about special tokens, which a request of ids does not have.
    if abs((a.prompt_tokens or 0) - (b.prompt_tokens or 0)) <= SPECIAL_TOKENS:
        a.prompt_tokens = b.prompt_tokens
    return _differences(profile, (a, b))


def report(profile: Profile, checks: Sequence[LaneCheck], host: Host) -> DoctorReport:
    """The report on the checks of one lane or of both."""
    settings = [check.comparable_settings() for check in checks]
    both = len(checks) == len(LANES) and not any(check.error for check in checks)
    differing = _differences(profile, checks) if both else []
    rows = [
        *_server_rows(checks),
        *_setting_rows(settings, differing),
        _load_row(profile, settings),
        _gpu_row(checks, differing),
        *_host_rows(profile, checks, host),
    ]
    obstacle = _obstacle(checks, differing, rows)
    return DoctorReport(rows, obstacle or _verdict(rows, differing, both=both), not obstacle)


def _differences(profile: Profile, checks: Sequence[LaneCheck]) -> list[Difference]:
    """The most severe first."""
    a, b = (check.comparable_settings() for check in checks)
    differing = differences(a, b, streams=_max_streams(profile), waived=profile.waive)
    if profile.mode != "alternate" and (shared := shared_whole_gpus(checks)):
        differing.insert(0, shared_gpus(shared, waived=profile.waive))
    return differing


def _max_streams(profile: Profile) -> int | None:
    """The most streams that the load can have at once; None when it is not limited."""
    dials = [lane_dials(profile, lane) for lane in profile.lanes.values()]
    if profile.plan or any(each.arrival != "closed" for each in dials):
        return None
    return max(each.concurrency for each in dials)


def _obstacle(checks: Sequence[LaneCheck], differing: Sequence[Difference], rows: Sequence[Row]) -> str:
    """Why they may not be compared, or the server not be measured; empty: they may."""
    for check in checks:
        if check.error:
            return f"lane {check.lane.upper()} cannot be measured: {check.error}"
    if len(checks) == 1:
        return ""
    if grave(differing):
        return reason(differing)
    wrong = next((row for row in rows if row.mark == "wrong"), None)
    return f"not comparable yet: {'; '.join(wrong.lines)}" if wrong is not None else ""


def _verdict(rows: Sequence[Row], differing: Sequence[Difference], *, both: bool) -> str:
    if not both:
        return "the server can be measured"
    waived = ", ".join(difference.label for difference in differing if difference.waived)
    unknown = ", ".join(row.label for row in rows if row.mark == "unknown" and "?" in row.values)
    sentence = "comparable: no obstacle found" + (f"; waived: {waived}" if waived else "")
    return sentence + (f"; not reported by both: {unknown}" if unknown else "")


SECTIONS: Mapping[Mark, str] = {
    "wrong": "must be mended, or accepted",
    "note": "may matter",
    "unknown": "not reported by both",
    "same": "the same, or as it should be",
}
HEAD_ROWS = ("lane", "url", "engine")


def text(report: DoctorReport) -> str:
    """The verdict, and then a table by what it means; nothing in it depends on colour."""
    label = max(len(row.label) for row in report.rows)
    width = max([12, *(len(value) for row in report.rows for value in row.values[:1])])

    def lines(row: Row) -> list[str]:
        values = "  ".join(value.ljust(width) for value in row.values)
        return [
            f"{MARKS[row.mark]} {row.label.ljust(label)}  {values}".rstrip(),
            *(f"    {line}" for line in row.lines),
        ]

    head = [row for row in report.rows if row.label in HEAD_ROWS and row.mark == "same"]
    parts = [[report.sentence], [line for row in head for line in lines(row)]]
    for mark, title in SECTIONS.items():
        rows = [row for row in report.rows if row.mark == mark and row not in head]
        if rows:
            parts.append([f"{MARKS[mark]} {title}:".strip(), *(line for row in rows for line in lines(row))])
    return "\n\n".join("\n".join(part) for part in parts if part)


def _server_rows(checks: Sequence[LaneCheck]) -> list[Row]:
    servers = [check.server for check in checks]
    errors = [check.error for check in checks]
    answers = ["no" if check.error else f"in {check.response_ms or 0:.0f} ms" for check in checks]
    rows = [
        _row("lane", [check.lane.upper() for check in checks]),
        _row("url", [check.url for check in checks]),
        _row("engine", ["?" if server is None else _engine(server.info) for server in servers]),
        _row("answers", answers, *errors, mark="wrong"),
    ]
    if all(errors):
        return rows
    seen = [_stream_row(checks), _usage_row(checks), _client_row(checks), _metrics_row(checks), _served_row(checks)]
    return [*rows, *_adapted_rows(checks), *seen]


def _engine(info: LaneInfo) -> str:
    return ("SIMULATED " if info.simulated else "") + f"{info.title} {info.version}".strip()


def _adapted_rows(checks: Sequence[LaneCheck]) -> list[Row]:
    """What is done otherwise for a server; no row where nothing is."""
    adapted = [check.server.info.adapted if check.server is not None else [] for check in checks]
    if not any(adapted):
        return []
    lines = [
        f"{check.lane.upper()}: {sentence}" if len(checks) > 1 else sentence
        for check, sentences in zip(checks, adapted, strict=True)
        for sentence in sentences
    ]
    return [_row("adapted", ["yes" if each else "no" for each in adapted], *lines)]


def _doubts(check: LaneCheck, *, of_tokens: bool) -> list[Doubt]:
    """What makes figures doubtful of the answer that was seen: those of its tokens, or just of the gaps in it."""
    if (answer := check.answer) is None:
        return []
    way: TokensFrom = "usage"
    if (tokens := answer.output_tokens) is None:
        tokens, way = answer.events, "chunks"
    elif 2 * tokens < answer.events and len(answer.text.encode()) > MAX_TOKEN_BYTES * tokens:
        tokens, way = answer.events, "chunks, not usage"
    seen = (answer.events, answer.reads, tokens, answer.hidden_tokens, answer.prompt_tokens or -1)
    columns = [[value] for value in (*seen, len(answer.text.encode()), answer.stream_ns)]
    doubts = doubts_of_most(doubts_of(Answers.from_columns(columns, [way])))
    return [doubt for doubt in doubts if ("tokens_a_chunk" in doubt.figures) == of_tokens]


def _stream_row(checks: Sequence[LaneCheck]) -> Row:
    doubts = [_doubts(check, of_tokens=False) for check in checks]
    values = ["?" if check.answer is None else "at once" if doubts[n] else "yes" for n, check in enumerate(checks)]
    return _row("streams", values, *_doubt_lines(checks, doubts))


def _doubt_lines(checks: Sequence[LaneCheck], doubts: Sequence[Sequence[Doubt]]) -> list[str]:
    return [
        f"lane {check.lane.upper()} {doubt.sentence}"
        for check, doubts_of_lane in zip(checks, doubts, strict=True)
        for doubt in doubts_of_lane
    ]


def _usage_row(checks: Sequence[LaneCheck]) -> Row:
    answers = [check.answer for check in checks]
    values = ["?" if answer is None else "no" if answer.output_tokens is None else "yes" for answer in answers]
    problem = "without usage each chunk counts as one token, but may hold several" if "no" in values else ""
    return _row("streams usage", values, problem, *_doubt_lines(checks, [_doubts(c, of_tokens=True) for c in checks]))


def _client_row(checks: Sequence[LaneCheck]) -> Row:
    values = ["?" if check.answer is None else check.client_note or "agrees" for check in checks]
    differs = any(check.client_note for check in checks)
    why = "at temperature 0 the same request should give the same answer twice" if differs else ""
    return _row("openai client", values, why)


def _metrics_row(checks: Sequence[LaneCheck]) -> Row:
    values = ["?" if check.answer is None else _metrics(check) for check in checks]
    return _row("metrics", values, *dict.fromkeys(check.metrics_note for check in checks))


def _metrics(check: LaneCheck) -> str:
    if check.gauges is None:
        return "off"
    if check.metrics_note:
        return "in part" if check.gauges else "none"
    return f"on, as {check.metrics_prefix}*" if check.metrics_prefix else "on"


def _served_row(checks: Sequence[LaneCheck]) -> Row:
    served = [check.tokens_served for check in checks]
    cold = [count is not None and count < COLD_TOKENS for count in served]
    values = [
        "?" if count is None else f"{format_value(int(count))} tokens" + (", cold" if is_cold else "")
        for count, is_cold in zip(served, cold, strict=True)
    ]
    why = "a cold server compiles and tunes in its first requests: let the load run a minute before you judge"
    return _row("served so far", values, why if any(cold) else "")


def _setting_rows(known: Sequence[Mapping[str, object]], differing: Sequence[Difference]) -> list[Row]:
    """A row for each setting that any server reports."""
    by_key = {difference.key: difference for difference in differing}
    rows = []
    for setting in ENGINE_SETTINGS:
        reported = [settings.get(setting.key) for settings in known]
        if all(value is None for value in reported):
            continue
        values = tuple("?" if value is None else format_value(value, setting.key) for value in reported)
        if (difference := by_key.get(setting.key)) is not None:
            rows.append(Row(setting.label, values, _mark(difference), _advice(difference, known)))
        else:
            rows.append(Row(setting.label, values, "unknown" if None in reported else "same"))
    notes = [str(settings["note"]) for settings in known if settings.get("note")]
    return [*rows, _row("not reported", [""] * len(known), *notes, mark="unknown")] if notes else rows


def _mark(difference: Difference) -> Mark:
    return "wrong" if difference.severity == "incomparable" and not difference.waived else "note"


def _advice(difference: Difference, known: Sequence[Mapping[str, object]] = ()) -> tuple[str, ...]:
    """What the difference does, the flag that would remove it in either server, and how to accept it."""
    lines = [difference.effect + (" (waived)" if difference.waived else "")]
    for lane, settings, other, wanted in zip("AB", known, "BA", (difference.b, difference.a), strict=False):
        if flag := flag_for(settings, difference.key, wanted):
            lines.append(f"{lane} like {other}: {flag}")
    lines += [f"or accept it: --waive {difference.key}"] if _mark(difference) == "wrong" else []
    return tuple(lines)


def _load_row(profile: Profile, known: Sequence[Mapping[str, object]]) -> Row:
    """Whether the load fits what the servers hold."""
    dials = [lane_dials(profile, lane) for lane in profile.lanes.values()]
    longest = [each.prompt_tokens + round(each.output_tokens * (1 + profile.load.output_jitter)) for each in dials]
    values = [f"{length:,} tokens a request" for length in longest]
    for length, settings in zip(longest, known, strict=False):
        context = settings.get("max_model_len")
        if isinstance(context, int) and length > context:
            why = f"requests are longer than the context of {context:,}: some engines cut the answer, others refuse"
            return _row("load", values, why, mark="wrong")
    streams = _max_streams(profile) or 0
    for length, settings in zip(longest, known, strict=False):
        pool = settings.get("kv_tokens")
        if isinstance(pool, int) and length * streams > pool:
            why = f"{streams} streams of this length need more than {pool:,} KV tokens"
            return _row("load", values, f"{why}: some will wait or be preempted")
    return _row("load", values)


def shared_whole_gpus(checks: Sequence[LaneCheck]) -> set[int]:
    """The GPUs that both lanes' engines run on, except those that MIG splits between them."""
    return {gpu for gpu in _shared_gpus(checks) if not checks[0].gpus[gpu].endswith(MIG)}


def _shared_gpus(checks: Sequence[LaneCheck]) -> set[int]:
    """GPUs with the same number in the same exporter, or in this host's own driver."""
    if len(checks) < len(LANES) or checks[0].dcgm != checks[1].dcgm:
        return set()
    if not all(check.dcgm or check.on_this_host for check in checks):
        return set()
    return set.intersection(*(set(check.gpus) for check in checks))


def _gpu_row(checks: Sequence[LaneCheck], differing: Sequence[Difference]) -> Row:
    label, numbers = "GPU numbers", [", ".join(map(str, check.gpus)) or "none seen" for check in checks]
    if both := next((difference for difference in differing if difference.key == "shared_gpu"), None):
        return _row(label, numbers, both.sentence, *(_advice(both) if both.waived else ()), mark=_mark(both))
    if split := sorted(_shared_gpus(checks) - shared_whole_gpus(checks)):
        which = ", ".join(map(str, split))
        return _row(label, numbers, f"both use GPU {which}, which MIG splits: its parts share power and clocks")
    if notes := dict.fromkeys(check.gpu_note for check in checks if check.gpu_note):
        return _row(label, numbers, *notes, mark="unknown")
    too_many = [
        f"lane {check.lane.upper()} uses {used} of these {len(check.gpus)}: name them with gpus = [...]"
        for check in checks
        if (used := check.settings.get("tensor_parallel")) and len(check.gpus) > used
    ]
    return _row(label, numbers, *too_many)


def _host_rows(profile: Profile, checks: Sequence[LaneCheck], host: Host) -> list[Row]:
    """Whether the engines and the load are in each other's way on this host."""
    rows = []
    if len(checks) == len(LANES) and all(check.on_this_host and not check.gpus for check in checks):
        rows.append(_row("host", ("here", "here"), f"both share the {host.cores} cores of this host"))
    why = "other work here may make the client late: numbers on a busy host are marked client-bound"
    load = f"{host.load:.1f} on {host.cores} cores"
    rows.append(_row("load of this host", [load], why if host.load > host.cores * BUSY_SHARE else ""))
    needed = (_max_streams(profile) or RATE_STREAMS) + OTHER_FILES
    too_few = host.files is not None and host.files < needed
    why = f"this load may need {needed}: raise it with ulimit -n {needed}" if too_few else ""
    limit = "any number" if host.files is None else f"up to {host.files:,}"
    rows.append(_row("open files", [limit], why, mark="wrong"))
    return rows
