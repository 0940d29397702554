"""The report of `compare`: several sessions, each one sample."""

from collections.abc import Sequence
from typing import Final

from tui.judge.conditions import FailIf
from tui.judge.sentence import Setting, Setup, cell, lane_names, setting_text, verdict_sentence
from tui.judge.sessions import Compared
from tui.model.metrics import METRICS
from tui.model.rows import LANES
from tui.model.session import SessionInfo
from tui.report.document import (
    NONE,
    Block,
    Document,
    Heading,
    Paragraph,
    Table,
    interval,
    meaning,
    ms,
    number,
    percent,
)
from tui.stats.verdict import holm, widest_margin

# The others describe: a word for each of forty figures would be wrong somewhere.
DECIDING: Final = ("output_tps", "goodput", "ttft_p95", "tpot_p95", "e2e_p95")
NOTE: Final = (
    "Only output tok/s, goodput and the p95 of TTFT, TPOT and E2E get a verdict; `alone` marks one that holds for "
    "its row, but not among all of them by Holm's rule at 5 %. The other figures are for information."
)


def comparison_report(
    sessions: Sequence[SessionInfo], compared: Sequence[Compared], condition: FailIf | None = None
) -> Document:
    """The report of `compare`, with the condition of `--fail-if` and what came of it when there is one."""
    blocks: list[Block] = [Paragraph(_who(sessions))]
    if len(sessions) < 2:
        one = "One session says nothing about another launch: its intervals are of this one. Record more sessions."
        blocks.append(Paragraph(one))
    if condition is not None:
        blocks += _condition(condition, [one.dials for one in compared])
    if not compared:
        blocks.append(Paragraph("No dial setting was visited in every session with the same dials in both lanes."))
    significant = _significant(compared)
    judged = sum(one.ratio is not None and one.metric in DECIDING for each in compared for one in each.verdicts)
    for setting in compared:
        blocks += [
            Heading(setting_text(setting.dials, [one.dials for one in compared])),
            *_sentence(sessions, setting, significant, judged),
            _table(setting, significant),
            *(Paragraph(f"Note: {note}.") for note in dict.fromkeys(one.note for one in setting.verdicts) if note),
        ]
    if compared:
        margin = widest_margin([session.profile for session in sessions])
        blocks.append(Paragraph(f"{NOTE} {meaning(margin)}"))
    return Document("A against B over sessions", any(session.simulated for session in sessions), blocks)


def _who(sessions: Sequence[SessionInfo]) -> str:
    """Which sessions, and whose numbers are A and B where each has one lane."""
    if len(sessions) == 2 and all(len(session.lanes) == 1 for session in sessions):
        titles = [next(iter(session.lanes.values())).title for session in sessions]
        lanes = [f"{'AB'[i]} is {titles[i]} of {session.name}" for i, session in enumerate(sessions)]
        return f"{', '.join(lanes)}; one launch each, which says nothing about another launch."
    return f"Sessions, each one sample: {', '.join(session.name for session in sessions)}."


def _condition(condition: FailIf, settings: Sequence[Setting]) -> list[Block]:
    rows = []
    for one in condition.judged:
        interval_text = f"{one.margin:+.4g} [{one.low:+.4g}, {one.high:+.4g}]"
        rows.append([one.text, number(one.left, 3), number(one.right, 3), interval_text, one.holds])
    obstacle = condition.obstacle
    why = f"not comparable, because {obstacle}" if obstacle else "the interval includes the limit"
    word = {"yes": "holds", "no": "does not hold", "undecided": f"is undecided: {why}"}
    several = len(settings) > 1 and condition.dials
    where = f" It is judged at {setting_text(condition.dials, settings)}." if several else ""
    header = ["comparison", "left", "right", "ln(left/right) or left - right [95 %]", "holds"]
    return [
        Heading("Condition"),
        Paragraph(f"The condition {word[condition.holds]}.{where}", strong=True),
        *([Paragraph(f"Note: {condition.note}.")] if condition.note else []),
        Table(header, rows),
    ]


def _significant(compared: Sequence[Compared]) -> set[int]:
    """The identities of the verdicts that Holm's rule keeps among those of all deciding figures at all settings."""
    judged = [one for setting in compared for one in setting.verdicts if one.metric in DECIDING]
    return {id(verdict) for verdict, holds in zip(judged, holm(judged), strict=True) if holds}


def _sentence(sessions: Sequence[SessionInfo], setting: Compared, significant: set[int], judged: int) -> list[Block]:
    """The throughput in the words of the screen."""
    verdict = next((one for one in setting.verdicts if one.metric == "output_tps"), None)
    if verdict is None:
        return []
    lanes = sessions[0].lanes if len(sessions[0].lanes) > 1 else {}
    setup = Setup(
        names=lane_names({lane: lanes.get(lane) for lane in LANES}),
        delta=widest_margin([session.profile for session in sessions]).delta,
        among=judged,
        among_what="verdicts",
        over=True,
        holds=id(verdict) in significant,
    )
    text = verdict_sentence(verdict, setup).text
    return [Paragraph(f"{text[0].upper()}{text[1:]}.", strong=True)]


def _table(setting: Compared, significant: set[int]) -> Table:
    words = {verdict.metric: verdict for verdict in setting.verdicts}
    rows = []
    for name, a in setting.a.items():
        verdict = words.get(name)
        cells = ["", "", ""]
        if verdict is not None:
            decides = verdict.metric in DECIDING or verdict.ratio is None
            cells = [
                percent(verdict.ratio),
                interval(verdict),
                cell(verdict, holds=id(verdict) in significant) if decides else NONE,
            ]
        label, unit = _named(name)
        rows.append([f"{label} {unit}".strip(), *(_written(value, unit) for value in (a, setting.b[name])), *cells])
    return Table(["figure", "A", "B", "A against B", "95 % interval", "verdict"], rows)


def _named(name: str) -> tuple[str, str]:
    """A figure of `fail_if` as the other reports call it, and its unit."""
    if name in METRICS:
        return METRICS[name].label, METRICS[name].unit
    figure, _, percentile = name.rpartition("_")
    label = "TTFT from due" if figure == "ttft_sched" else METRICS[figure].label if figure in METRICS else ""
    return (f"{label} {percentile}", "ms") if label else (name.replace("_", " "), "")


def _written(value: float | None, unit: str) -> str:
    """A value with the digits of its unit."""
    if unit == "ms":
        return ms(value)
    return number(value, 1 if unit == "tok/s" else 3)
