"""The presets give the published study's figures within 15 %."""

import statistics

import pytest

from tests.simulator.virtual import Load, drive
from tui.simulator.scheduler import PRESETS

# One request after the other with 500 output tokens; then 10 and 100 at once whose prompts share most of their text.
LOADS = {
    "1 stream, 50": Load(1, 8, prompt_tokens=50, output_tokens=500),
    "1 stream, 500": Load(1, 8, prompt_tokens=500, output_tokens=500),
    "10 streams": Load(10, 60, prompt_tokens=250, output_tokens=500, shared=200, stagger_s=0.06125),
    "100 streams": Load(100, 400, prompt_tokens=250, output_tokens=500, shared=200, stagger_s=0.06125),
}
LEVELS = tuple(LOADS)
STUDY = {  # at each of these loads: TTFT in s, tokens a second of one request
    "vllm": ((0.45, 35), (0.65, 35), (0.65, 22), (1.25, 16)),
    "sglang": ((0.57, 38), (0.62, 38), (0.62, 30), (0.65, 31)),
}


@pytest.mark.parametrize("level", range(4), ids=LEVELS)
@pytest.mark.parametrize("engine", STUDY)
def test_the_preset_gives_the_figure_of_the_study(engine: str, level: int) -> None:
    load = LOADS[LEVELS[level]]
    steady = drive(PRESETS[engine], load)[load.streams if load.streams > 1 else 0 :]
    ttft_s, tps = STUDY[engine][level]
    assert statistics.median(one.ttft_s for one in steady) == pytest.approx(ttft_s, rel=0.15)
    assert statistics.median(one.tps for one in steady) == pytest.approx(tps, rel=0.15)
