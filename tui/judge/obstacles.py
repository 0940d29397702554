"""Why two lanes may not be compared over a span of a session.

One ordered list, used by the live verdicts, the ledger, reports, a replay's window, `compare` and its conditions. A
new reason for "not comparable" is one entry in OBSTACLES.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final, TypeVar

from tui.judge.comparable import Sentence, Work, different, unknown_work
from tui.model.rows import LANES, Lane

T = TypeVar("T")

WHOLE_REQUESTS: Final = ("e2e", "goodput", "request_rate")
PROMPTS: Final = (*WHOLE_REQUESTS, "ttft", "ttft_sched")  # figures in which the prompt's length counts, too
MAX_FAILED_SHARE: Final = 0.01  # above it a server that answers errors quickly could be ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What decides whether the lanes may be compared: of the whole session, of this moment, of the span judged."""

    lanes: Collection[Lane]
    incomparable: str = ""  # the settings in which the servers differ
    models: Collection[str] = ()
    waived: Collection[str] = ()  # keys of settings whose difference is accepted
    down: Collection[Lane] = ()  # now
    is_stopped: bool = False  # no lane has load now
    dials: Mapping[Lane, Mapping[str, str]] = field(default_factory=dict)
    dials_moved: bool = False  # inside the span
    settled_s: int = 0  # seconds that count
    bound_s: int = 0  # left out because the client was the limit
    down_s: int = 0
    ok: Mapping[Lane, int] = field(default_factory=dict)
    failed: Mapping[Lane, int] = field(default_factory=dict)
    work: Mapping[Lane, Work] = field(default_factory=dict)
    unknown: Mapping[Lane, Mapping[str, str]] = field(default_factory=dict)  # figures not supported, and why

    def why_unknown(self, lane: str, figure: str) -> str:
        """Why the answers of a lane do not support a figure or a percentile of it; empty: they do."""
        why = next((reasons for name, reasons in self.unknown.items() if name == lane), {})
        sentence = why.get(figure) or why.get(figure.rpartition("_")[0], "")
        return f"lane {lane.upper()} {sentence}" if sentence else ""


def joined_lanes(a: Circumstances, b: Circumstances) -> Circumstances:
    """Of two sessions of one lane each, the first taken as lane A and the second as lane B."""

    def both(first: Mapping[Lane, T], second: Mapping[Lane, T]) -> dict[Lane, T]:
        return dict(zip(LANES, [*first.values(), *second.values()], strict=False))

    return Circumstances(
        lanes=LANES,
        incomparable=a.incomparable or b.incomparable,
        models=[*a.models, *b.models],
        waived=[*a.waived, *b.waived],
        dials=both(a.dials, b.dials),
        settled_s=min(a.settled_s, b.settled_s),
        bound_s=max(a.bound_s, b.bound_s),
        down_s=max(a.down_s, b.down_s),
        ok=both(a.ok, b.ok),
        failed=both(a.failed, b.failed),
        work=both(a.work, b.work),
        unknown=both(a.unknown, b.unknown),
    )


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason, and the figures that it does not concern or the only ones that it does."""

    text: Callable[[Circumstances], str]  # empty: it does not apply
    spares: Collection[str] = ()
    only: Collection[str] = ()

    def concerns(self, figure: str) -> bool:
        """Whether it may forbid a verdict on a figure; on every figure where the name is empty."""
        if self.only:
            return figure in self.only or figure.rpartition("_")[0] in self.only
        return figure not in self.spares


def obstacle(circumstances: Circumstances, figure: str = "") -> str:
    """The first reason why `figure` has no verdict; empty when it may have one. Without `figure`: of all figures."""
    texts = (one.text(circumstances) for one in OBSTACLES if one.concerns(figure))
    return next(filter(None, texts), "")


def work_note(circumstances: Circumstances) -> str:
    """What must be said with a figure that may be compared although the lanes did different work."""
    return next(filter(None, (one.text(circumstances) for one in DIFFERENT_WORK)), "")


def failed_too_often(ok: int, failed: int) -> bool:
    """Whether so many of a lane's requests failed that its figures mean little."""
    return failed > MAX_FAILED_SHARE * (ok + failed)


def _one_lane(at: Circumstances) -> str:
    return "there is one lane" if len(at.lanes) < 2 else ""


def _incomparable(at: Circumstances) -> str:
    return at.incomparable.removeprefix("not comparable because ")


def _down(at: Circumstances) -> str:
    return f"{' and '.join(lane.upper() for lane in at.down)} down" if at.down else ""


def _different_models(at: Circumstances) -> str:
    names = {PurePosixPath(model).name.casefold() for model in at.models}
    return "different models" if len(names) > 1 and "model" not in at.waived else ""


def _dials_moved(at: Circumstances) -> str:
    return "dials moved inside the window" if at.dials_moved else ""


def _different_dials(at: Circumstances) -> str:
    if len(at.dials) < 2:
        return ""
    a, b = at.dials.values()
    # A dial of which nothing is known, as in another tool's result, does not differ.
    differ = [f"{name} {a[name]} against {b[name]}" for name in a if a[name] and b[name] and a[name] != b[name]]
    return f"dials differ: {', '.join(differ)}" if differ else ""


def _stopped(at: Circumstances) -> str:
    return "the load is stopped" if at.is_stopped else ""


def _mostly_bound(at: Circumstances) -> str:
    return "the client was the limit in most seconds" if at.bound_s > at.settled_s else ""


def _mostly_down(at: Circumstances) -> str:
    return "a lane was down in most seconds" if at.down_s > at.settled_s else ""


def _failed(at: Circumstances) -> str:
    for lane, failed in at.failed.items():
        if failed_too_often(at.ok[lane], failed):
            return f"{failed} of {at.ok[lane] + failed} requests failed in lane {lane.upper()}"
    return ""


def _work(sentence: Sentence, only: Collection[str]) -> Obstacle:
    return Obstacle(lambda at: sentence(at.work), only=only)


DIFFERENT_WORK: Final = (
    _work(different("prompt_tokens"), PROMPTS),
    _work(different("output_tokens"), WHOLE_REQUESTS),
    _work(different("cut"), WHOLE_REQUESTS),
    _work(different("early"), WHOLE_REQUESTS),
    _work(different("cached"), PROMPTS),
    _work(unknown_work, PROMPTS),
)


def _unknown(figure: str) -> Callable[[Circumstances], str]:
    """Why the answers of a lane do not support a figure (`plausible`); those of its kind share the reason."""
    return lambda at: next(filter(None, (at.why_unknown(lane, figure) for lane in at.unknown)), "")


OBSTACLES: Final = (
    Obstacle(_one_lane),
    Obstacle(_incomparable),
    Obstacle(_down),
    Obstacle(_different_models),
    Obstacle(_dials_moved),
    Obstacle(_different_dials),
    Obstacle(_stopped),
    Obstacle(_mostly_bound),
    Obstacle(_mostly_down),
    Obstacle(_failed, spares=("failed_share",)),
    *DIFFERENT_WORK,
    Obstacle(_unknown("output_tps"), only=("output_tps", "total_tps")),
    Obstacle(_unknown("tpot"), only=("tpot", "itl")),
)
