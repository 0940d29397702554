"""What the server says of itself, how old that is, and what went wrong: one row each, of a lane's pane."""

from tui.model.text import sanitize
from tui.session.view import LaneView
from tui.ui.widgets import numbers
from tui.ui.widgets.rows import Row, Span, fit, length, spread

WORDS_CELLS = 50  # from this width on there is room for full words
MANY_IN_FRONT = 0.2  # of the requests in flight: not the engine, but what stands before it, is the limit
STALE_S = 3.0  # three readings missed; an older one is dim and says its age


def ink_of(view: LaneView) -> str:
    """Numbers of a lane that is not up are old: they are dimmed."""
    return "" if view.state in {"up", "stopped"} else "muted"


def efficiency(view: LaneView) -> Span:
    """`  4.12 tok/J`, empty where energy is not read."""
    return ("", "") if view.tokens_per_joule is None else (f"  {numbers.figure(view.tokens_per_joule)} tok/J", "")


def server_row(view: LaneView, width: int) -> Row:
    """`running 32    waiting 0     KV 38 %   prefix hit 31 %`, with the age of old readings."""
    server = view.server
    if all(v is None for v in (server.running, server.waiting, server.kv_usage, server.prefix_hit_rate)):
        return fit([("server  ", "muted"), (sanitize(server.note) or "has not told its metrics yet", "muted")], width)
    stale = server.age_s is not None and server.age_s > STALE_S
    ink = "muted" if stale else ink_of(view)
    full = width >= WORDS_CELLS and not stale
    words = ("running ", "  waiting ", "  KV ", "  prefix hit ") if full else ("run ", " wait ", " KV ", " hit ")
    values = (
        f"{numbers.whole(server.running):<4}", f"{numbers.whole(server.waiting):<4}",
        f"{numbers.percent(server.kv_usage):<5}", f"{numbers.percent(server.prefix_hit_rate):<5}",
    )  # fmt: skip
    spans = [span for word, value in zip(words, values, strict=True) for span in ((word, "muted"), (value, ink))]
    if stale and server.age_s is not None:
        old = f" {server.age_s:.0f} s old"
        spans = [*fit(spans, width - len(old)), (old, "muted")]
    return fit(spans, width)


def trouble_row(view: LaneView, width: int) -> Row:
    """What makes the lane's numbers doubtful, the gravest first: down, the client's limit, failures, old readings."""
    if view.state == "down" and view.state_text:
        failed = f"   {view.failed} failed" if view.failed else ""
        return fit(
            [("✖ down: ", "error strong"), (sanitize(view.state_text, 120), "error"), (failed, "muted")], width
        )
    if view.bound:
        text = f"! client-bound: CPU {view.client_cpu * 100:.0f} %, loop lag {view.loop_lag_ms:.0f} ms"
        return fit([(text, "warn strong")], width)
    if view.failed:
        return _failures(view, width)
    if view.server.note and view.server.age_s is not None:
        return fit([(f"! server gauges: {sanitize(view.server.note, 120)}", "warn")], width)
    if view.gpu_note and view.gpus:
        return fit([(f"! GPU: {sanitize(view.gpu_note, 120)}", "warn")], width)
    right = [efficiency(view)] if width < WORDS_CELLS else []
    told = [(text, "warn") for text in _hindrances(view)]
    left = _apart([("no failures", "muted"), *told])
    if told and length(left) > width:
        left = _apart(told)
    return spread(left, right if length([*left, *right]) <= width else (), width)


def _hindrances(view: LaneView) -> list[str]:
    """What holds the engine up without being a fault, the most telling first."""
    found = []
    if (view.server.in_front or 0) >= MANY_IN_FRONT:
        found.append(f"{numbers.percent(view.server.in_front)} of requests unscheduled")
    if any(gpu.throttled for gpu in view.gpus):
        found.append("GPU clocks held down")
    if view.server.preemptions:
        found.append(f"{numbers.whole(view.server.preemptions)} preempted")
    return found


def _apart(spans: list[Span]) -> list[Span]:
    return [(f"{'   ' if place else ''}{text}", role) for place, (text, role) in enumerate(spans)]


def _failures(view: LaneView, width: int) -> Row:
    causes = ", ".join(
        f"{sanitize(cause, 20)} {count}" for cause, count in sorted(view.causes.items(), key=lambda c: -c[1])
    )
    last = sanitize(view.last_error, 120)
    return fit(
        [(f"✖ {view.failed} failed ", "error strong"), (causes, "error"), (f"  {last}" if last else "", "muted")],
        width,
    )
