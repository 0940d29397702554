"""Several figures or settings judged at once: which of their words stand together.

Each word is right at 95 % by itself; of twenty equal pairs one would name a winner. Holm's step-down rule (1979)
keeps the chance that any word is wrong at 5 %: the surest must hold among all, the next among all but one, and so on.
A word is wrong only where its interval misses the truth, so that `ahead` and `level` are one claim a figure.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tui.analysis.verdict.word import Verdict

MOST: Final = 1024


def holds_among(stands: Callable[[int], bool]) -> int:
    """Among how many the word would still be said, `stands(n)` telling whether at 1 / n of the level; at most `MOST`.

    0 where it is not said at all.
    """
    if not stands(1):
        return 0
    if stands(MOST):
        return MOST
    few, many = 1, MOST
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if stands(middle) else (few, middle)
    return few


def standing(verdicts: "Sequence[Verdict]") -> list[bool]:
    """For each verdict whether its word stands among all of them. One without an interval is not one of many."""
    tested = sum(verdict.ratio is not None for verdict in verdicts)
    places = [place for place, verdict in enumerate(verdicts) if verdict.ratio is not None]
    found = [verdict.ratio is None for verdict in verdicts]
    for passed, place in enumerate(sorted(places, key=lambda place: -verdicts[place].holds_among)):
        if verdicts[place].holds_among < min(tested - passed, MOST):
            break
        found[place] = True
    return found
