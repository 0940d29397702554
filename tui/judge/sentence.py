"""A verdict as one sentence: the better lane over the worse, by how much, how sure, and after how long.

The same words on the screen, in the ledger, in reports and of `run`. Pure. A sentence is made of parts, so that a
narrow screen can leave out what matters least.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from tui.model.dials import DIAL, DIALS
from tui.model.metrics import METRICS
from tui.model.rows import LANES, Lane
from tui.model.session import LaneInfo
from tui.model.text import sanitize
from tui.stats.verdict import State, Verdict, better_of, holm

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow

Setting = Mapping[str, str]  # dials of one lane, as text
Tone = Literal["lane", "strong", "plain", "muted", "warn"]
AHEAD: Final[Mapping[str, Lane]] = {"A ahead": "a", "B ahead": "b"}
ENDLESS: Final = 11  # an interval's end above it is not written where the ratio lies below
NAME_CELLS: Final = 24
MANY: Final = 9  # rank of what is left out first
LETTERS: Final[Mapping[Lane, str]] = {lane: lane.upper() for lane in LANES}
# The figures that follow the one that is compared, in this order.
FURTHER_FIGURES: Final = ("output_tps", "ttft_p50", "ttft_p95", "tpot_p50", "tpot_p95", "e2e_p95", "goodput")


@dataclass(frozen=True, slots=True)
class Part:
    """Some words. Those of the highest rank are left out first; 0 stays."""

    text: str
    tone: Tone = "plain"
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Sentence:
    state: State
    parts: Sequence[Part]
    ahead: Lane | Literal[""] = ""  # the better lane, of a decided verdict
    brief: Sequence[Part] = ()  # where not even the parts of rank 0 fit
    progress: float | None = None  # of settling or measuring, 0 to 1

    @property
    def text(self) -> str:
        return joined(self.parts)

    def within(self, cells: int) -> Sequence[Part]:
        """As much of it as fits into so many cells."""
        for rank in range(MANY, -1, -1):
            kept = [part for part in self.parts if part.rank <= rank]
            if len(joined(kept)) <= cells:
                return kept
        return self.brief or [part for part in self.parts if not part.rank]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a sentence needs next to the verdict."""

    names: Mapping[Lane, str] = field(default_factory=lambda: LETTERS)  # see `lane_names`
    delta: float = 0.03
    ratio_so_far: float | None = None  # A over B of what is measured, for a verdict that has no ratio yet
    turn_s: float = 0.0  # of lanes that take turns: how long one is
    others: Mapping[str, Verdict] = field(default_factory=dict)  # of further figures
    warning: str = ""
    down: Sequence[Lane] = ()
    scope: str = ""  # what it is of, where that is not the setting in force
    visits: int = 1
    among: int = 1  # rows that were judged at once
    among_what: str = "settings"
    over: bool = False  # no more will be measured
    holds: bool = True  # the word, among all of them


def joined(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts)


def lane_names(lanes: Mapping[Lane, LaneInfo | None]) -> dict[Lane, str]:
    """`A vLLM` and `B SGLang`; of equal engines with version, model or port, the first in which they differ."""
    known = {lane: info for lane, info in lanes.items() if info is not None}
    titles = {lane: sanitize(info.title, NAME_CELLS) for lane, info in known.items()}
    more: dict[Lane, str] = {}
    if len(known) > 1 and len(set(titles.values())) == 1:
        ways = (
            {lane: info.version for lane, info in known.items()},
            {lane: info.model.rpartition("/")[2] for lane, info in known.items()},
            {lane: f":{port}" if (port := _port(info.url)) else "" for lane, info in known.items()},
        )
        more = next((way for way in ways if len(set(way.values())) > 1), {})
    return {
        lane: " ".join(filter(None, (lane.upper(), titles.get(lane, ""), sanitize(more.get(lane, ""), NAME_CELLS))))
        for lane in lanes
    }


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def verdict_sentence(verdict: Verdict, setup: Setup) -> Sentence:
    """One verdict in words."""
    state = verdict.state
    ahead: Lane | Literal[""] = AHEAD.get(verdict.word, "")
    if verdict.word == "not comparable":
        return _not_comparable(verdict, setup)
    if state == "settling":
        return _settling(verdict)
    if state == "measuring":
        return _measuring(verdict, setup)
    others = _others(verdict, ahead, setup)
    if verdict.ratio is None and ahead:  # one lane has none of it: nothing to divide by
        parts = [Part(setup.names[ahead], "lane"), Part(" is ahead", "strong"), Part(f": {verdict.reason}", rank=2)]
        return Sentence(state, [*parts, *_warned(setup, verdict), *others], ahead, parts[:2])
    claim, brief = _claim(verdict, ahead, setup)
    evidence = [
        Part(_interval(verdict, ahead), rank=3),
        Part(_after(verdict, setup), rank=4),
        *_warned(setup, verdict),
        *_scope(setup),
    ]
    if ahead:
        return Sentence(state, [*claim, *evidence, *others, *_among(setup)], ahead, brief)
    word = f"level within {setup.delta * 100:.2g} %" if state == "decided" else "undecided"
    head = [Part(word, "strong")]
    parts = [*head, Part(": ", rank=2), *(replace(part, tone="plain", rank=2) for part in claim)]
    among = _among(setup) if state == "decided" else ()
    return Sentence(state, [*parts, *evidence, *others, *among], brief=head)


_BECAUSE: Final = "not comparable because "


def _not_comparable(verdict: Verdict, setup: Setup) -> Sentence:
    """The reason, and no ratio: it would be read as one."""
    head = Part(f"{_named(verdict.metric)}not comparable", "warn")
    if setup.down:
        names = " and ".join(setup.names[lane] for lane in setup.down)
        parts = [
            Part(f"{names} {'is' if len(setup.down) == 1 else 'are'} down", "warn"),
            Part(": not comparable", "warn"),
        ]
        return Sentence("cannot_tell", parts, brief=parts[:1])
    return Sentence("cannot_tell", [head, Part(f": {verdict.reason.removeprefix(_BECAUSE)}", "warn")], brief=[head])


def _settling(verdict: Verdict) -> Sentence:
    """`settling: 6 of about 12 s`. Once the time is up it waits for an answer of this setting."""
    waited_s, left_s = verdict.measured_s, verdict.need_s or 0.0
    head = Part("settling", "strong")
    if left_s > 0:
        parts = [head, Part(f": {waited_s} of about {waited_s + math.ceil(left_s)} s")]
        return Sentence("settling", parts, brief=[head], progress=waited_s / (waited_s + left_s))
    return Sentence("settling", [head, Part(": waiting for the first answer", rank=1)], brief=[head])


def _measuring(verdict: Verdict, setup: Setup) -> Sentence:
    """`measuring: B SGLang 1.7× so far, sure in about 63 s`."""
    goes_on = verdict.watched and not setup.over
    head = Part("measuring" if goes_on else "undecided so far", "strong")
    if name := _named(verdict.metric):
        head = replace(head, text=f"{head.text} {name.rstrip()}")
    parts, brief = [head], [head]
    so_far = " so far" if goes_on else ""
    ratio = setup.ratio_so_far if verdict.ratio is None else verdict.ratio
    if ratio is not None and ratio > 0:
        lane = _leader(verdict.metric, ratio)
        over = ratio if lane == "a" else 1 / ratio
        if better_of(verdict.metric) == "lower":
            over = 1 / over
        if round(over, 2) == 1:
            parts += [Part(": "), Part(f"equal{so_far}")]
        else:
            factor = _rough(over) if better_of(verdict.metric) == "higher" else f"{_shorter(1 / over)} shorter"
            parts += [Part(": "), Part(f"{setup.names[lane]}", "lane"), Part(f" {factor}{so_far}", "strong")]
            brief = [head, Part(f" {lane.upper()}", "lane"), Part(f" {factor}", "strong")]
    need_s = verdict.need_s
    if need_s is None or not math.isfinite(need_s):
        if verdict.ratio is None and verdict.reason:
            parts.append(Part(f"{',' if len(parts) > 1 else ':'} {verdict.reason}", "muted", 1))
        return Sentence("measuring", [*parts, *_warned(setup, verdict), *_scope(setup)], brief=brief)
    more = _need(need_s, setup.turn_s)
    parts.append(Part(f", sure in {more}" if goes_on else f", {more} more needed", "muted", 1))
    progress = verdict.measured_s / (verdict.measured_s + need_s) if need_s > 0 else 1.0
    parts += [*_warned(setup, verdict), *_scope(setup)]
    return Sentence("measuring", parts, brief=brief, progress=progress)


def _leader(metric: str, ratio: float) -> Lane:
    return "a" if (ratio > 1) == (better_of(metric) == "higher") else "b"


def _claim(verdict: Verdict, ahead: Lane | Literal[""], setup: Setup) -> tuple[list[Part], list[Part]]:
    """`B SGLang gives 1.72× A vLLM's tokens/s`, `… TTFT p50 is 21 % shorter than A vLLM's`; and the same in brief."""
    assert verdict.ratio is not None
    lane = ahead or _leader(verdict.metric, verdict.ratio)
    other: Lane = "b" if lane == "a" else "a"
    name, rival, noun = setup.names[lane], setup.names[other], _noun(verdict.metric)
    over = verdict.ratio if lane == "a" else 1 / verdict.ratio
    lane_part, letter = Part(name, "lane"), Part(lane.upper(), "lane")
    if better_of(verdict.metric) == "higher":
        claim = [lane_part, Part(f" gives {factor(over)}", "strong"), Part(f" {rival}'s {noun}")]
        return claim, [letter, Part(f" {factor(over)}", "strong"), Part(f" {other.upper()}")]
    if not ahead:
        claim = [lane_part, Part(f"'s {noun} is {factor(over)}", "strong"), Part(f" {rival}'s")]
    else:
        claim = [lane_part, Part(f"'s {noun} is {_shorter(over)} shorter", "strong"), Part(f" than {rival}'s")]
    return claim, [letter, Part(f" {noun} {_shorter(over)} shorter", "strong")]


def _interval(verdict: Verdict, ahead: Lane | Literal[""]) -> str:
    """` (95 %: 1.54 to 1.92)`, of the same quotient as the claim."""
    if verdict.low is None or verdict.high is None or verdict.ratio is None:
        return ""
    lane = ahead or _leader(verdict.metric, verdict.ratio)
    low, high = (verdict.low, verdict.high) if lane == "a" else (1 / verdict.high, 1 / verdict.low)
    level = f"{verdict.level * 100:.4g} %{'' if verdict.watched or not verdict.measured_s else ' at the end'}"
    if better_of(verdict.metric) == "higher" or not ahead:
        endless = high > ENDLESS >= low
        return f" ({level}: {factor(low)[:-1]} to {f'over {ENDLESS}' if endless else factor(high)[:-1]})"
    return f" ({level}: {_shorter(high).removesuffix(' %')} to {_shorter(low)})"


def _after(verdict: Verdict, setup: Setup) -> str:
    if not verdict.measured_s:
        return f", over {verdict.reason}" if verdict.reason else ""
    return f", after {_time(verdict.measured_s)}{f' in {setup.visits} visits' if setup.visits > 1 else ''}"


def _scope(setup: Setup) -> Iterator[Part]:
    if setup.scope:
        yield Part(f" · {setup.scope}", "muted", 5)


def _among(setup: Setup) -> Iterator[Part]:
    """For how many rows judged at once it holds."""
    if setup.among > 1 and setup.holds:
        yield Part(f" · holds among all {setup.among} {setup.among_what}", "muted", MANY)
    elif setup.among > 1:
        yield Part(f" · alone, not among all {setup.among} {setup.among_what}", "muted", 6)


def _warned(setup: Setup, verdict: Verdict) -> Iterator[Part]:
    if warning := setup.warning or verdict.note:
        yield Part(f"  ! {warning}", "warn", 1)


def _others(verdict: Verdict, ahead: Lane | Literal[""], setup: Setup) -> Iterator[Part]:
    """Further figures that are decided, and hold among all that are said: those of the lane ahead."""
    judged = [
        one for name in FURTHER_FIGURES if name != verdict.metric and (one := setup.others.get(name)) is not None
    ]
    for place, (one, holds) in enumerate(zip(judged, holm(judged), strict=True)):
        if holds and one.state == "decided" and one.ratio is not None:
            yield Part(f" · {_further_figure(one, ahead)}", "plain", min(7 + place, MANY))


def _further_figure(verdict: Verdict, subject: Lane | Literal[""]) -> str:
    """`TTFT p50 21 % shorter`, of the lane that the sentence is about, else with its letter."""
    assert verdict.ratio is not None
    noun, lane = _noun(verdict.metric), AHEAD.get(verdict.word)
    if lane is None:
        return f"{noun} level"
    of = "" if subject else f"{lane.upper()}'s "
    over = verdict.ratio if (subject or lane) == "a" else 1 / verdict.ratio
    if better_of(verdict.metric) == "higher":
        return f"{of}{factor(over)} the {noun}" if subject else f"{lane.upper()} {factor(over)} the {noun}"
    return f"{of}{noun} {_shorter(over)} shorter" if over < 1 else f"{of}{noun} {_percent(over - 1)} longer"


def _named(metric: str) -> str:
    """The figure before a word that would else be taken for one of the throughput."""
    return "" if metric == "output_tps" else f"{_noun(metric)} "


def _noun(metric: str) -> str:
    if metric == "output_tps":
        return "tokens/s"
    name, _, percentile = metric.rpartition("_")
    if name in METRICS:
        return f"{METRICS[name].label} {percentile}"
    return METRICS[metric].label if metric in METRICS else metric.replace("_", " ")


def factor(over: float) -> str:
    """`1.72×`, `17.2×`, `172×`."""
    return f"{over:.2f}×" if over < 10 else f"{over:.1f}×" if over < 100 else f"{over:,.0f}×"


def _rough(over: float) -> str:
    """`1.7×`, where nothing is sure yet."""
    return factor(over) if over < 1.1 or over >= 100 else f"{over:.1f}×"


def _shorter(over: float) -> str:
    """How much shorter what is `over` times as long is: 0.79 is `21 %`."""
    return _percent(1 - over)


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %" if abs(share) >= 0.1 else f"{share * 100:.1f} %"


def _time(time_s: float) -> str:
    return f"{time_s:.0f} s" if time_s < 600 else f"{time_s / 60:.0f} min"


def _need(need_s: float, turn_s: float) -> str:
    """`about 63 s`, `about 4 min`; of lanes that take turns `about 3 turns of each`."""
    if turn_s:
        turns = max(math.ceil(need_s / (2 * turn_s)), 1)
        return f"about {turns} turn{'' if turns == 1 else 's'} of each"
    if need_s > 3600:
        return "over an hour"
    return f"about {max(need_s, 1):.0f} s" if need_s < 100 else f"about {need_s / 60:.0f} min"


def cell(verdict: Verdict, *, holds: bool = True, over: bool = True) -> str:
    """The word in a cell of a table; `alone` where it does not hold among all rows that are judged with it."""
    if verdict.word == "undecided":
        so_far = "undecided so far" if over else "measuring"
        return {"settling": "settling", "measuring": so_far}.get(verdict.state, "undecided")
    return verdict.word if holds or verdict.word == "not comparable" else f"{verdict.word} alone"


def cell_factor(verdict: Verdict, ratio_so_far: float | None = None) -> str:
    """The better lane over the worse in a cell: `B 1.72×`, `A 1.01×`; empty where nothing is known."""
    ratio = ratio_so_far if verdict.ratio is None else verdict.ratio
    if ratio is None or ratio <= 0 or verdict.word == "not comparable":
        return ""
    lane = AHEAD.get(verdict.word) or _leader(verdict.metric, ratio)
    return f"{lane.upper()} {factor(ratio if lane == 'a' else 1 / ratio)}"


def cell_interval(verdict: Verdict) -> str:
    """`1.54 … 1.92`, of the same quotient as `cell_factor`."""
    if verdict.low is None or verdict.high is None or verdict.ratio is None:
        return ""
    lane = AHEAD.get(verdict.word) or _leader(verdict.metric, verdict.ratio)
    low, high = (verdict.low, verdict.high) if lane == "a" else (1 / verdict.high, 1 / verdict.low)
    return f"{factor(low)[:-1]} … {factor(high)[:-1]}"


def settings_named(rows: Sequence[LedgerRow], names: Mapping[Lane, str], delta: float) -> list[tuple[str, Sentence]]:
    """Each setting of a ledger with its sentence, which says whether it holds among all that are judged."""
    among = [dials for row in rows for dials in row.dials.values()]
    judged = sum(row.verdict.ratio is not None for row in rows)
    named = []
    for row, holds in zip(rows, holm([row.verdict for row in rows]), strict=True):
        setup = Setup(
            names=names,
            delta=delta,
            ratio_so_far=row.ratio,
            visits=row.visits,
            among=judged,
            holds=holds,
            over=True,
        )
        named.append((lanes_setting(row.dials, among), verdict_sentence(row.verdict, setup)))
    return named


def setting_text(dials: Setting, among: Sequence[Setting]) -> str:
    """A setting by the dials that differ among several, or by all that matter when none does."""
    differ = [spec.name for spec in DIALS if len({other.get(spec.name) for other in among}) > 1]
    unused = "request_rate" if dials.get("arrival") == "closed" else "concurrency"
    names = [name for name in differ if name != unused] or (
        ["concurrency" if unused == "request_rate" else "request_rate", "prompt_tokens"]
    )
    return ", ".join(_dial(dials, name) for name in names if dials.get(name)) or "settings that are not known"


def lanes_setting(dials: Mapping[Lane, Setting], among: Sequence[Setting]) -> str:
    """The setting of both lanes, or of each where they differ."""
    if len({tuple(setting.items()) for setting in dials.values()}) == 1:
        return setting_text(next(iter(dials.values())), among)
    return " / ".join(f"{lane.upper()} {setting_text(setting, among)}" for lane, setting in dials.items())


def _dial(dials: Mapping[str, str], name: str) -> str:
    spec, value = DIAL[name], dials.get(name, "")
    unit = "" if not spec.unit else f" {spec.unit}"
    return f"{spec.label} {value}{unit}"
