"""The verdict while an operator watches: looked at every second, said calmly, started anew with each segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tui.analysis.verdict.calm import Calm
from tui.analysis.verdict.throughput import throughput_verdict, turns_verdict
from tui.analysis.verdict.word import DELTA, Verdict, Word
from tui.records.rows import Lane

if TYPE_CHECKING:
    from tui.analysis.intervals.turns import Pair


@dataclass(frozen=True, slots=True)
class Now:
    """What is known at one look. `segment` is anything that differs between segments, as their start."""

    segment: int
    tps: Mapping[Lane, Sequence[float]]  # settled whole seconds of this segment, paired
    pairs: "Sequence[Pair] | None" = None  # of lanes that take turns: their blocks side by side


@dataclass(frozen=True, slots=True)
class Told:
    """The word to show, and the verdict behind it with its numbers: the word may lag by three looks."""

    word: Word
    verdict: Verdict


@dataclass(slots=True)
class Watch:
    """Follows one head-to-head."""

    delta: float = DELTA
    _segment: int | None = None
    _calm: Calm = field(default_factory=Calm)
    _known: tuple[bool, int] = (False, -1)  # what the verdict was made of: whether lanes take turns, and how much
    _verdict: Verdict | None = None

    def look(self, now: Now) -> Told:
        """The word and the verdict of this second."""
        if now.segment != self._segment:
            self._segment, self._calm, self._verdict = now.segment, Calm(), None
        verdict = self._throughput(now)
        self._calm = self._calm.look(verdict, self.delta)
        return Told(self._calm.shown, verdict)

    def _throughput(self, now: Now) -> Verdict:
        seconds = min(len(now.tps["a"]), len(now.tps["b"])) if now.pairs is None else len(now.pairs)
        known = (now.pairs is not None, seconds)
        if self._verdict is None or known != self._known:
            a, b = now.tps["a"], now.tps["b"]
            if now.pairs is None:
                self._verdict = throughput_verdict(a, b, delta=self.delta)
            else:
                self._verdict = turns_verdict(a, b, now.pairs, delta=self.delta)
            self._known = known
        return self._verdict
