"""What happens in a simulated engine, told to whoever counts it in that engine's way."""

from dataclasses import dataclass
from typing import Protocol

from tui.simulator.scheduler import Scheduler, Step


@dataclass(slots=True)
class Told:
    """One request as the metrics see it. Times from its arrival, in s."""

    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    queue_s: float
    ttft_s: float
    e2e_s: float
    finish_reason: str
    stream: bool

    @property
    def tpot_s(self) -> float:
        """Time per output token after the first; 0 when there is none after it."""
        return (self.e2e_s - self.ttft_s) / (self.output_tokens - 1) if self.output_tokens > 1 else 0.0


class Metrics(Protocol):
    """One engine's page."""

    def stepped(self, step: Step, scheduler: Scheduler) -> None:
        """A step is over."""

    def idle(self, scheduler: Scheduler) -> None:
        """Nothing is left to do."""

    def began(self, told: Told) -> None:
        """A request's first token is there."""

    def gap(self, gap_s: float) -> None:
        """A request's next token came so much after the one before."""

    def ended(self, told: Told) -> None:
        """A request is over."""

    def aborted(self, told: Told) -> None:
        """A request's client went away."""

    def text(self) -> bytes:
        """The page as it is scraped."""
