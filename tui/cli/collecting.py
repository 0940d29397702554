"""Keep the rows of a run that has no screen, for its summary; what is recorded is not read back."""

from collections.abc import Callable
from typing import Any

from tui.records.frame import Batch
from tui.records.rows import LANES, EventRow, Lane, RequestRow, SecondRow
from tui.records.session import SessionInfo
from tui.session.fold.gaps import ChunkGaps
from tui.session.fold.histogram import LatencyHistogram


class Collected:
    """A listener of a session. `on_second` is given a line of text for each complete second."""

    def __init__(self) -> None:
        self.on_second: Callable[[str], None] | None = None
        self._requests: list[RequestRow] = []
        self._seconds: list[SecondRow] = []
        self._events: list[EventRow] = []
        self._gaps: dict[Lane, ChunkGaps] = {lane: ChunkGaps() for lane in LANES}
        self._itl: dict[Lane, LatencyHistogram] = {lane: LatencyHistogram() for lane in LANES}

    def __call__(self, batch: Batch) -> None:
        """Take a batch in."""
        self._requests += batch.requests
        self._events += batch.events
        for lane, chunks in batch.chunks:
            gaps = self._gaps[lane].feed(chunks)
            self._itl[lane].add(gaps.itl_ms, gaps.tokens)
        for lane in LANES:
            self._gaps[lane].forget([r.request for r in batch.requests if r.lane == lane])
        self._seconds += batch.seconds
        if batch.seconds and self.on_second is not None:
            self.on_second("   ".join(map(second_text, batch.seconds)))

    def down(self) -> list[Lane]:
        """The lanes whose server did not answer any more as the run ended."""
        last = {row.lane: row for row in self._seconds}
        return [lane for lane, row in last.items() if not row.up]

    def summary(self, info: SessionInfo) -> dict[str, Any]:
        """The object of `run --json`."""
        from tui.analysis.summary import summary
        from tui.recording.frames import frame_of_rows

        return summary(
            info,
            frame_of_rows("requests", self._requests),
            frame_of_rows("seconds", self._seconds),
            self._itl,
            self._events,
        )


def second_text(row: SecondRow) -> str:
    """One second of one lane, for people."""
    failed = f" {row.failed} failed" if row.failed else ""
    state = " down" if not row.up else " resting" if row.resting else ""
    return f"{row.lane.upper()} {row.output_tokens:6d} tok/s {row.in_flight:4d} in flight{failed}{state}"


def lines(found: dict[str, Any]) -> list[str]:
    """The summary for people, one line a lane and one for the verdict."""
    told = []
    for lane, figures in found["lanes"].items():
        simulated = " SIMULATED" if figures["simulated"] else ""
        ttft, tpot = figures["ttft_ms"]["p50"], figures["tpot_ms"]["p50"]
        told.append(
            f"{lane.upper()} {figures['engine']} {figures['model']}{simulated}: "
            f"{figures['output_tps']:.0f} tok/s out, "
            f"{figures['requests']} requests, {figures['failed']} failed, "
            f"TTFT p50 {_ms(ttft)}, TPOT p50 {_ms(tpot)}"
        )
    return [*told, _verdict(found["verdict"])] if found["verdict"] else told


def _verdict(told: dict[str, Any]) -> str:
    from tui.analysis.report.words import verdict_sentence
    from tui.analysis.verdict.margin import Margin
    from tui.analysis.verdict.word import Verdict

    fields = {name: value for name, value in told.items() if name in Verdict.__dataclass_fields__}
    margin = Margin(told["delta"], told["delta_from"])
    return f"{verdict_sentence(Verdict(**fields), 'Output tok/s')} Level is within {margin.text}."


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"
