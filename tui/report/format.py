"""Numbers and verdicts as a report writes them."""

import math
from collections.abc import Mapping, Sequence

from tui.judge.segments import Setting
from tui.model.dials import DIAL, DIALS
from tui.model.metrics import PERCENTILES
from tui.model.rows import Lane
from tui.stats.verdict import Margin, Verdict

NONE = "–"
ENDLESS = 11  # an interval's end above it is not written where the ratio lies below
ALONE = "`alone` marks a verdict that holds for its row, but not among all rows judged at once by Holm's rule at 5 %."


def meaning(margin: Margin) -> str:
    """What the words mean, and where δ comes from."""
    return (
        f"Level: the 95 % interval lies within δ: {margin.text}. "
        "Ahead: the interval excludes equality, and its middle lies beyond δ."
    )


def word(verdict: Verdict, holds: bool) -> str:
    """The verdict's word, marked where it does not hold among those judged with it."""
    said = verdict.word in {"A ahead", "B ahead", "level"}
    return verdict.word if holds or not said else f"{verdict.word} alone"


def number(value: float | None, digits: int = 0) -> str:
    """A number with thousands apart; a dash for none, ∞ for what never came."""
    if value is None or value != value:  # noqa: PLR0124 - nan is the one value that differs from itself
        return NONE
    return "∞" if value in {float("inf"), float("-inf")} else f"{value:,.{digits}f}"


def ms(value: float | None) -> str:
    """Milliseconds with three figures' worth of digits."""
    return number(value, 0 if value is None or value >= 100 else 1 if value >= 10 else 2)


def any_alone(verdicts: Sequence[Verdict], significant: Sequence[bool]) -> bool:
    """Whether a word is marked."""
    return any(word(verdict, holds) != verdict.word for verdict, holds in zip(verdicts, significant, strict=True))


def percentile_ms(value: float | None, name: str, n: int) -> str:
    """A percentile in ms, or how many values are missing before it may be shown."""
    missing = PERCENTILES[name].samples - n
    return ms(value) if missing <= 0 else f"needs {missing} more"


def percent(ratio: float | None) -> str:
    """A ratio as what it is above or below 1: 1.123 is +12.3 %."""
    return NONE if ratio is None or math.isnan(ratio) else f"{(ratio - 1) * 100:+,.1f} %"


def interval(verdict: Verdict) -> str:
    """The interval of a verdict's ratio in percent. That of few sessions may have no upper end to speak of."""
    if verdict.low is None or verdict.high is None:
        return NONE
    endless = verdict.high > ENDLESS >= (verdict.ratio or 0.0)
    high = f"over +{(ENDLESS - 1) * 100:,} %" if endless else percent(verdict.high)
    return f"{percent(verdict.low)} to {high}"


def range_ms(low: float | None, high: float | None) -> str:
    """An interval in ms in brackets, empty where there is none."""
    return "" if low is None else f" [{ms(low)}, {ms(high)}]"


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


def verdict_sentence(verdict: Verdict, label: str) -> str:
    """One verdict in full: the word, by how much, how sure, or why not."""
    if verdict.word == "not comparable":
        return f"{label}: not comparable, because {verdict.reason}."
    if verdict.ratio is None:
        return f"{label}: {verdict.word}, {verdict.reason}."
    evidence = f"A against B {percent(verdict.ratio)}, 95 % interval {interval(verdict)}, {verdict.reason}"
    more = f", about {verdict.need_s:.0f} s more needed" if verdict.need_s else ""
    return f"{label}: {verdict.word} ({evidence}{more})."
