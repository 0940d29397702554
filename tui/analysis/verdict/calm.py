"""The word on the screen, which must not flicker at the border."""

import math
from dataclasses import dataclass
from typing import Final

from tui.analysis.verdict.word import DELTA, Verdict, Word, better_of, word_of

HOLD_LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class Calm:
    """The word on the screen, which follows the verdict without flicker. Start a new one with each segment.

    Another word is shown once it has held for three looks, and a word that was shown gives way to `undecided` only
    when the interval is a tenth of its width beyond the border. `not comparable` is shown at once.
    """

    shown: Word = "undecided"
    candidate: Word = "undecided"
    held: int = 0

    def look(self, verdict: Verdict, delta: float = DELTA) -> "Calm":
        """The state after one more look, once a second."""
        word = verdict.word
        if word in {"not comparable", self.shown} or self._holds(verdict, delta):
            kept = word if word == "not comparable" else self.shown
            return Calm(kept, kept, 0)
        held = self.held + 1 if word == self.candidate else 1
        return Calm(word, word, 0) if held >= HOLD_LOOKS else Calm(self.shown, word, held)

    def _holds(self, verdict: Verdict, delta: float) -> bool:
        """Whether the shown word would still be said of a slightly narrower interval."""
        if verdict.word != "undecided" or verdict.low is None or verdict.high is None:
            return False
        low, high = math.log(verdict.low), math.log(verdict.high)
        slack = 0.1 * (high - low)
        return word_of(low + slack, high - slack, delta, better_of(verdict.metric)) == self.shown != "undecided"
