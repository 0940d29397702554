"""Limits that have a name."""

from collections.abc import Mapping
from typing import Final

# (TTFT, TPOT) in ms of the server scenario, at the 99th percentile: MLPerf Inference, loadgen/mlperf.conf.
MLPERF_LIMITS_MS: Final[Mapping[str, tuple[float, float]]] = {
    "llama2-70b": (2000, 200),
    "llama2-70b-interactive": (450, 40),
    "llama3.1-8b": (2000, 100),
    "llama3.1-8b-interactive": (500, 30),
    "llama3.1-405b": (6000, 175),
    "llama3.1-405b-interactive": (4500, 80),
    "deepseek-r1": (2000, 80),
    "deepseek-r1-interactive": (1500, 15),
    "gpt-oss-120b": (3000, 80),
}
