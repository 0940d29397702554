"""A ledger of settings with chosen figures, as a sweep of the concurrency leaves it."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from tui.judge.ledger import LaneFigures, LedgerRow
from tui.model.dials import DIALS, Dials, dial_text
from tui.model.rows import LANES
from tui.session.view import View
from tui.stats.batches import Mean
from tui.stats.latency import LatencyFigure
from tui.stats.verdict import Verdict, Word

OTHERS: dict[str, str] = {str(spec.name): dial_text(spec, getattr(Dials(), spec.name)) for spec in DIALS} | {
    "prompt_tokens": "512"
}
SWEPT: Sequence[tuple[int, float, float, Word]] = (  # streams, tok/s of A, TTFT of A in ms, word
    (1, 100, 50, "A ahead"),
    (4, 380, 60, "A ahead"),
    (16, 1200, 90, "level"),
    (64, 2400, 300, "B ahead"),
    (128, 2200, 900, "B ahead"),
)


def row(streams: int, tps: float, ttft_ms: float, word: Word) -> LedgerRow:
    """One setting. B has nine tenths of the throughput at eight tenths of the latency."""
    setting = {**OTHERS, "concurrency": f"{streams}"}
    figures = {
        lane: LaneFigures(
            Mean(tps * rate, tps * 0.1, tps * rate * 0.95, tps * rate * 1.05, 60),
            {
                name: LatencyFigure(
                    ttft_ms * late, ttft_ms * late * 0.9, ttft_ms * late * 1.2, ttft_ms * late, 400, 0, 0
                )
                for name in ("p50", "p95")
            },
        )
        for lane, rate, late in zip(LANES, (1.0, 0.9), (1.0, 0.8), strict=True)
    }
    return LedgerRow(
        dials=dict.fromkeys(LANES, setting),
        visits=1,
        settled_s=60,
        tps={"a": tps, "b": tps * 0.9},
        requests=dict.fromkeys(LANES, 400),
        failed=dict.fromkeys(LANES, 0),
        bound=False,
        verdict=Verdict("output_tps", word, 1.11, 1.02, 1.21, 3, holds_among=100, measured_s=60),
        figures=figures,
    )


def swept(count: int = len(SWEPT)) -> Callable[[View], View]:
    """A view with the first `count` settings of the sweep, the last of them in force."""
    from tui.judge.sweep import crossover

    ledger = [row(*one) for one in SWEPT[:count]]

    def change(view: View) -> View:
        verdicts = {
            "output_tps": Verdict("output_tps", "B ahead", 0.88, 0.81, 0.95, 4, measured_s=87, holds_among=100),
            "ttft_p95": Verdict("ttft_p95", "B ahead", 1.25, 1.1, 1.4, 4, measured_s=87, holds_among=100),
        }
        change = crossover(ledger)
        return replace(view, ledger=ledger, ledger_now=count - 1, crossover=change, verdicts=verdicts)

    return change


def long_ledger(view: View) -> View:
    """Forty settings, visited from the last to the first."""
    ledger = [row(streams, streams * 20.0, 50.0 + streams, "undecided") for streams in range(40, 0, -1)]
    return replace(view, ledger=ledger, ledger_now=39)
