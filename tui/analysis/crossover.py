"""One sentence that says where the lead changes hands as one dial is turned."""

from collections.abc import Sequence

from tui.analysis.ledger import LedgerRow
from tui.analysis.verdict.together import standing
from tui.records.dials import DIAL, DIALS


def varied(rows: Sequence[LedgerRow]) -> str:
    """The dial that was tried at most settings while the others stood still; empty when none was."""
    best = {spec.name: len(ladder(rows, spec.name)) for spec in DIALS if spec.name != "arrival"}
    name = max(best, key=lambda dial: best[dial])
    return name if best[name] > 1 else ""


def crossover(rows: Sequence[LedgerRow]) -> str:
    """Who is ahead up to which setting of the dial that was varied: `A ahead up to 24 streams, B from 48`.

    Settings without a decision are passed over, and those whose word does not stand among all of them; empty when
    fewer than two settings are left.
    """
    name = varied(rows)
    steps = ladder(rows, name) if name else []
    stand = standing([row.verdict for _, row in steps])
    said = [(value, str(row.verdict.word)) for (value, row), stands in zip(steps, stand, strict=True) if stands]
    decided = [(value, word) for value, word in said if word in {"A ahead", "B ahead", "level"}]
    if len(decided) < 2:
        return ""
    runs: list[tuple[str, float, float]] = []
    for value, word in decided:
        if runs and runs[-1][0] == word:
            runs[-1] = (word, runs[-1][1], value)
        else:
            runs.append((word, value, value))
    unit = DIAL[name].unit
    unit = f" {unit}" if unit == "streams" else f" {DIAL[name].label} {unit}".rstrip()
    if len(runs) == 1:
        word, low, high = runs[0]
        return f"{word} at every setting from {low:g} to {high:g}{unit}"
    parts = [f"{runs[0][0]} up to {runs[0][2]:g}{unit}"]
    parts += [f"{word.removesuffix(' ahead')} from {low:g}" for word, low, _ in runs[1:]]
    return ", ".join(parts)


def ladder(rows: Sequence[LedgerRow], name: str) -> list[tuple[float, LedgerRow]]:
    """The largest set of rows that differ in dial `name` alone, with its values, rising."""
    groups: dict[str, list[tuple[float, LedgerRow]]] = {}
    for row in rows:
        if row.linked and row.dials:
            setting = dict(next(iter(row.dials.values())))
            if not setting[name]:
                continue
            groups.setdefault(repr({**setting, name: ""}), []).append((float(setting[name]), row))
    largest = max(groups.values(), key=len, default=[])
    return sorted(largest, key=lambda step: step[0])
