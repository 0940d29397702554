"""Conditions for scripts: `b.ttft_p95 > a.ttft_p95 * 1.05`, judged with their uncertainty.

A condition holds when it is sure at 95 %: one side above the other by more than the figures can be off. Python's
own parser reads it, and only the few kinds of node below are followed: nothing in it is ever run.
"""

import ast
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import fmean, geometric_mean
from typing import Final, Literal

from tui.judge.sessions import NAMES, Figures, Measured, joined, note_of_any, obstacle_of_any
from tui.model.text import UserError
from tui.stats.distributions import t_quantile
from tui.stats.verdict import ALPHA

Holds = Literal["yes", "no", "undecided"]
EXAMPLE: Final = "b.ttft_p95 > a.ttft_p95 * 1.05"
_LONGEST: Final = 500
_GREATEST: Final = 1e100  # far above any figure, and products of a few such numbers are still numbers


@dataclass(frozen=True, slots=True)
class Judged:
    """One comparison: the left side over the right side as a ratio (or their difference), with its interval."""

    text: str
    holds: Holds
    left: float
    right: float
    margin: float  # above 0: left is above right; ln(left / right), or left - right where one can be 0
    low: float
    high: float
    obstacle: str = ""  # why the lanes may not be compared; then `holds` is undecided
    note: str = ""  # what must be said with it


@dataclass(frozen=True, slots=True)
class FailIf:
    """A whole condition and its comparisons."""

    holds: Holds
    judged: Sequence[Judged]
    dials: Mapping[str, str] = field(default_factory=dict)  # of lane A: the setting that the figures are of

    @property
    def obstacle(self) -> str:
        """Why the condition was left undecided though its figures are known; else empty."""
        return next((one.obstacle for one in self.judged if one.obstacle), "") if self.holds == "undecided" else ""

    @property
    def note(self) -> str:
        """What must be said with the comparisons; else empty."""
        return next((one.note for one in self.judged if one.note), "")


def fail_if(text: str, sessions: Sequence[Measured]) -> FailIf:
    """Judge a condition on one or more sessions. Raises UserError when it cannot be read, or names no known figure.

    Several sessions are draws, one value each (Kalibera & Jones 2013: restarts vary more than seconds). One session
    alone, or two of one lane each (A and B), are judged from ten spans, and say nothing of another launch.
    """
    if not sessions:
        raise UserError("there is no session to judge the condition on")
    judged: list[Judged] = []
    holds = _judge(parse(text), joined(sessions), judged, ALPHA)
    return FailIf(holds, judged, next(iter(sessions[0].circumstances.dials.values()), {}))


def parse(text: str) -> ast.expr:
    """Read a condition and check that it holds nothing but comparisons of arithmetic on figures."""
    if len(text) > _LONGEST:
        raise UserError(f"the condition is longer than {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UserError(f"the condition {text!r} cannot be read; write for example {EXAMPLE!r}") from None
    _check_condition(tree)
    return tree


def _check_condition(node: ast.expr) -> None:
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            _check_condition(part)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], _SIDES):
        _check_value(node.left)
        _check_value(node.comparators[0])
    else:
        raise UserError(f"{ast.unparse(node)!r} compares nothing: use <, <=, > or >=, as in {EXAMPLE!r}")


def _check_value(node: ast.expr) -> None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
        _check_value(node.left)
        _check_value(node.right)
    elif isinstance(node, ast.Attribute):
        if not (isinstance(node.value, ast.Name) and node.value.id in {"a", "b"} and node.attr in NAMES):
            raise UserError(f"{ast.unparse(node)!r} is not a figure: write a. or b. and one of {', '.join(NAMES)}")
    elif not (isinstance(node, ast.Constant) and _is_number(node.value)):
        raise UserError(f"{ast.unparse(node)!r} is neither a number nor a figure; write for example {EXAMPLE!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _GREATEST


_SIDES: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ARITHMETIC: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div)


def _judge(node: ast.expr, sessions: Sequence[Measured], judged: list[Judged], alpha: float) -> Holds:
    """`and` and `or` over yes, no and undecided (Kleene).

    Any part of an `or` could hold by chance: each is judged at its share of the level (Bonferroni).
    """
    if isinstance(node, ast.BoolOp):
        level = alpha / len(node.values) if isinstance(node.op, ast.Or) else alpha
        words = [_judge(part, sessions, judged, level) for part in node.values]
        settles: Holds = "no" if isinstance(node.op, ast.And) else "yes"
        if settles in words:
            return settles
        return "undecided" if "undecided" in words else words[0]
    assert isinstance(node, ast.Compare)
    one = _compare(node, sessions, alpha)
    judged.append(one)
    return one.holds


def _compare(node: ast.Compare, sessions: Sequence[Measured], alpha: float) -> Judged:
    left, right = node.left, node.comparators[0]
    sign = 1.0 if isinstance(node.ops[0], ast.Gt | ast.GtE) else -1.0
    wholes = [_sides(left, right, session.whole) for session in sessions]
    spans = _span_sides(left, right, sessions[0]) if len(sessions) == 1 else []
    # One scale for all: a share that is 0 in one span has no logarithm.
    as_ratio = all(low > 0 and high > 0 for low, high in (*wholes, *spans))
    margins = [math.log(one / other) if as_ratio else one - other for one, other in (*wholes, *spans)]
    if spans:
        margin, off = margins[0], [value - margins[0] for value in margins[1:]]
    else:
        margin = fmean(margins)
        off = [value - margin for value in margins]
    dof = len(off) - 1
    half = math.sqrt(sum(d * d for d in off) / dof / len(off)) * t_quantile(1 - alpha / 2, dof)
    holds: Holds = "undecided"
    why = _obstacle(node, sessions)
    if why:
        pass
    elif sign * margin > half:
        holds = "yes"
    elif sign * margin < -half:
        holds = "no"
    mean = geometric_mean if as_ratio else fmean  # of which the margin is the logarithm's
    sides = mean([side[0] for side in wholes]), mean([side[1] for side in wholes])
    return Judged(
        ast.unparse(node), holds, *sides, margin, margin - half, margin + half, why, _note(node, sessions, why)
    )


def _obstacle(node: ast.Compare, sessions: Sequence[Measured]) -> str:
    """Why no lane may be held against the other, or why a figure of the one that is named is unknown; else empty."""
    figures = [part for part in ast.walk(node) if isinstance(part, ast.Attribute)]
    if not _compares_lanes(node):
        reasons = (
            one.circumstances.why_unknown(ast.unparse(figure.value), figure.attr)
            for one in sessions
            for figure in figures
        )
        return next(filter(None, reasons), "")
    return next(filter(None, (obstacle_of_any(sessions, figure.attr) for figure in figures)), "")


def _note(node: ast.Compare, sessions: Sequence[Measured], obstacle: str) -> str:
    """What must be said with the comparison of two lanes that may be compared; else empty."""
    return note_of_any(sessions) if not obstacle and _compares_lanes(node) else ""


def _compares_lanes(node: ast.Compare) -> bool:
    return len({part.id for part in ast.walk(node) if isinstance(part, ast.Name)}) > 1


def _span_sides(left: ast.expr, right: ast.expr, session: Measured) -> list[tuple[float, float]]:
    """Both sides in each span of a session, for the deviation from the whole (sectioning)."""
    spans = []
    for figures in session.sections:
        with suppress(UserError):  # a span in which nothing ended has no percentile
            spans.append(_sides(left, right, figures))
    if len(spans) < 2:
        raise UserError("the session is too short to judge a condition on it; run it longer")
    return spans


def _sides(left: ast.expr, right: ast.expr, figures: Figures) -> tuple[float, float]:
    return _value(left, figures), _value(right, figures)


def _value(node: ast.expr, figures: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, int | float)
        return float(node.value)
    if isinstance(node, ast.Attribute):
        name = ast.unparse(node)
        if name not in figures:
            raise UserError(f"{name} is not known of this session: too few requests ended, or there are no limits")
        return figures[name]
    assert isinstance(node, ast.BinOp)
    left, right = _value(node.left, figures), _value(node.right, figures)
    if isinstance(node.op, ast.Div):
        if right == 0:
            raise UserError(f"{ast.unparse(node)!r} divides by zero")
        return left / right
    if isinstance(node.op, ast.Mult):
        return left * right
    return left + right if isinstance(node.op, ast.Add) else left - right
