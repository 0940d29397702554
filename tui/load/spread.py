"""Streams of a closed loop that begin one after another, evenly far apart along an answer.

Begun together, answers of about one length end together and their next prompts come in one heap, for many answers on
end. A span that is not a whole number of answers long then catches more of the one or of the other, and what it says
of tokens a second is off by a tenth and more. Engines decode all streams at one pace, so streams that begin as the
first of them gets along are spread as evenly as they would be after an hour. No time has to be guessed for that.
"""

from dataclasses import dataclass

from tui.load.stream import Stream


@dataclass(slots=True)
class Spread:
    """While streams are added to `before` slots that were in use, until `pace`, the first one added, is over."""

    before: int
    pace: Stream | None = None

    @property
    def is_over(self) -> bool:
        """Whether the first one ended, however it did: the slots that are still empty are filled at once."""
        return self.pace is not None and self.pace.is_over

    def slots(self, wanted: int) -> int:
        """Of the wanted slots those that may be filled by now."""
        return slots_by_now(self.before, wanted, 0.0 if self.pace is None else self.pace.progress)


def slots_by_now(before: int, wanted: int, progress: float) -> int:
    """Slots that may be filled once `progress` (0 to 1) of the first added stream's answer has come."""
    return min(wanted, before + 1 + int(max(wanted - before, 0) * progress))
