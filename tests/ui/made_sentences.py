"""Verdicts in every state, with what is said beside them."""

from collections.abc import Mapping

from tui.judge.sentence import Setup
from tui.model.rows import Lane
from tui.stats.verdict import LONG_ENOUGH_S, SETTLING, Verdict

NAMES: Mapping[Lane, str] = {"a": "A vLLM", "b": "B SGLang"}
TTFT = Verdict("ttft_p50", "B ahead", 1 / 0.79, 1.15, 1.40, holds_among=100)
TPOT = Verdict("tpot_p95", "A ahead", 0.58, 0.5, 0.66, holds_among=100)
OTHERS = {"ttft_p50": TTFT, "tpot_p95": TPOT, "e2e_p95": Verdict("e2e_p95", "undecided", 0.99, 0.9, 1.1)}
SETUP = Setup(names=NAMES, others=OTHERS, among=3)
AHEAD = Verdict("output_tps", "B ahead", 1 / 1.72, 1 / 1.92, 1 / 1.54, measured_s=87, holds_among=100)
MEASURING = Verdict("output_tps", "undecided", 1 / 1.7, 0.5, 1.1, measured_s=27, need_s=63.0)
STATES: Mapping[str, tuple[Verdict, Setup]] = {
    "settling": (Verdict("output_tps", "undecided", reason=SETTLING, need_s=6.0, measured_s=6), SETUP),
    "settling, waiting": (Verdict("output_tps", "undecided", reason=SETTLING, need_s=0.0, measured_s=14), SETUP),
    "measuring, too little": (
        Verdict("output_tps", "undecided", reason="needs 20 settled seconds", need_s=17.0, measured_s=3),
        Setup(names=NAMES, ratio_so_far=1.74),
    ),
    "measuring": (MEASURING, SETUP),
    "measuring in turns": (MEASURING, Setup(names=NAMES, turn_s=30.0)),
    "measuring a latency": (
        Verdict("ttft_p50", "undecided", 1.26, 0.97, 1.6, measured_s=40, need_s=140.0),
        Setup(names=NAMES),
    ),
    "measuring, no figure": (
        Verdict("ttft_p95", "undecided", reason="p95 needs 30 more requests"),
        Setup(names=NAMES),
    ),
    "ahead": (AHEAD, SETUP),
    "ahead, alone": (AHEAD, Setup(names=NAMES, among=6, holds=False)),
    "ahead early": (
        Verdict("output_tps", "B ahead", 1 / 1.72, 1 / 2.3, 1 / 1.3, measured_s=20, level=0.995),
        Setup(names=NAMES),
    ),
    "ahead, in three visits": (AHEAD, Setup(names=NAMES, visits=3)),
    "ahead by a latency": (
        Verdict("ttft_p50", "B ahead", 1 / 0.79, 1.15, 1.40, measured_s=87),
        Setup(names=NAMES, others={"output_tps": AHEAD}),
    ),
    "ahead at the end": (
        Verdict("output_tps", "A ahead", 1.353, 1.119, 1.636, measured_s=84, watched=False),
        Setup(names={"a": "A vLLM 0.26.0", "b": "B vLLM 0.31.0"}),
    ),
    "ahead of nothing": (
        Verdict("goodput", "B ahead", reason="no request of lane A met the limits, 24 of lane B did"),
        Setup(names=NAMES),
    ),
    "ahead, client-bound": (AHEAD, Setup(names=NAMES, warning="client-bound in A")),
    "level": (Verdict("output_tps", "level", 0.99, 0.972, 1.01, measured_s=240), SETUP),
    "undecided": (Verdict("output_tps", "undecided", 1.02, 0.98, 1.061, measured_s=LONG_ENOUGH_S), SETUP),
    "undecided so far": (
        Verdict("output_tps", "undecided", 1.062, 0.98, 1.15, measured_s=60, need_s=140.0, watched=False),
        Setup(names=NAMES),
    ),
    "not comparable": (Verdict("output_tps", "not comparable", reason="different models"), SETUP),
    "a lane down": (
        Verdict("output_tps", "not comparable", reason="B down"),
        Setup(names=NAMES, down=["b"]),
    ),
    "over sessions": (
        Verdict("output_tps", "A ahead", 1.353, 1.119, 1.636, reason="3 sessions", watched=False),
        Setup(names=NAMES),
    ),
}
