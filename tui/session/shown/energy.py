"""Tokens per joule: what a lane's GPUs drew from the wall in the seconds whose tokens are counted."""

from collections.abc import Mapping, Sequence

import numpy as np

from tui.records import gauges as g
from tui.records.rows import SecondRow
from tui.records.units import NS_PER_S
from tui.session.fold.columns import Floats

Readings = Mapping[tuple[str, str], Sequence[tuple[int, float]]]


def tokens_per_joule(seconds: Sequence[SecondRow], readings: Readings) -> float | None:
    """Output tokens of these seconds over the energy of all the lane's GPUs in the same seconds.

    A second counts when every GPU was read before its start and after its end: the energy at both is interpolated
    between the readings around them. None: no such second, or no energy. A GPU without an energy counter (older than
    Volta, or an exporter that was not told to show it) has its power integrated by the trapezoid rule instead.
    """
    gpus = {source for source, _ in readings if source.startswith("gpu")}
    curves = [curve for gpu in gpus if (curve := _energy(readings, gpu)) is not None]
    if not curves or len(curves) < len(gpus) or not seconds:
        return None
    starts = np.array([row.t_ns for row in seconds], dtype=np.int64)
    tokens = np.array([row.output_tokens for row in seconds], dtype=np.int64)
    read = np.all([(t_ns[0] <= starts) & (starts + NS_PER_S <= t_ns[-1]) for t_ns, _ in curves], axis=0)
    joules = sum(
        float((np.interp(starts[read] + NS_PER_S, t_ns, total_j) - np.interp(starts[read], t_ns, total_j)).sum())
        for t_ns, total_j in curves
    )
    return float(tokens[read].sum()) / joules if joules > 0 else None


def _energy(readings: Readings, gpu: str) -> tuple[Floats, Floats] | None:
    """When a GPU was read, in ns, and the joules it had drawn until then; None before it was read twice."""
    counted, power = readings.get((gpu, g.GPU_ENERGY), ()), readings.get((gpu, g.GPU_POWER), ())
    if len(counted) < 2 and len(power) < 2:
        return None
    t_ns, values = np.array(counted if len(counted) >= 2 else power, dtype=float).T
    if len(counted) >= 2:
        drawn = np.maximum(np.diff(values), 0.0)  # a driver that was loaded again counts from 0
    else:
        drawn = (values[1:] + values[:-1]) / 2 * np.diff(t_ns) / NS_PER_S
    return t_ns, np.concatenate(([0.0], np.cumsum(drawn)))
