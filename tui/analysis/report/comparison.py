"""What a report says of several sessions: each is one draw."""

from collections.abc import Sequence

from tui.analysis.compare import Compared
from tui.analysis.fail_if import FailIf
from tui.analysis.report.blocks import Block, Document, Heading, Paragraph, Table
from tui.analysis.report.words import interval, number, percent, setting_text
from tui.records.session import SessionInfo


def comparison_report(
    sessions: Sequence[SessionInfo], compared: Sequence[Compared], condition: FailIf | None = None
) -> Document:
    """The report of `compare`, with the condition of `--fail-if` and what came of it when there is one."""
    blocks: list[Block] = [Paragraph(_who(sessions))]
    if len(sessions) < 2:
        blocks.append(Paragraph("One session says nothing of another launch: record more for intervals."))
    if condition is not None:
        blocks += _condition(condition)
    if not compared:
        blocks.append(Paragraph("There is no dial setting that every session visited with both lanes alike."))
    for setting in compared:
        blocks += [Heading(setting_text(setting.dials, [one.dials for one in compared])), _table(setting)]
    return Document("A against B over sessions", any(session.simulated for session in sessions), blocks)


def _who(sessions: Sequence[SessionInfo]) -> str:
    """Which sessions, and whose numbers are A and B where each has one lane."""
    if len(sessions) == 2 and all(len(session.lanes) == 1 for session in sessions):
        titles = [next(iter(session.lanes.values())).title for session in sessions]
        told = [f"{'AB'[i]} is {titles[i]} of {session.name}" for i, session in enumerate(sessions)]
        return f"{', '.join(told)}; one launch each, which says nothing of another."
    return f"Sessions, each one draw: {', '.join(session.name for session in sessions)}."


def _condition(condition: FailIf) -> list[Block]:
    rows = []
    for one in condition.judged:
        told = f"{one.margin:+.4g} [{one.low:+.4g}, {one.high:+.4g}]"
        rows.append([one.text, number(one.left, 3), number(one.right, 3), told, one.holds])
    word = {"yes": "holds", "no": "does not hold", "undecided": "is undecided: the interval reaches over the border"}
    header = ["comparison", "left", "right", "ln(left/right) or left - right [95 %]", "holds"]
    return [
        Heading("Condition"),
        Paragraph(f"The condition {word[condition.holds]}.", strong=True),
        Table(header, rows),
    ]


def _table(setting: Compared) -> Table:
    words = {verdict.metric: verdict for verdict in setting.verdicts}
    rows = []
    for name, a in setting.a.items():
        verdict = words.get(name)
        told = [percent(verdict.ratio), interval(verdict), verdict.word] if verdict is not None else ["", "", ""]
        rows.append([name, number(a, 3), number(setting.b[name], 3), *told])
    return Table(["figure", "A", "B", "A against B", "95 % interval", "verdict"], rows)
