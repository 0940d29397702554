"""`kill -9` at any moment: what was on the disk opens, nothing is doubled, and at most the last second is missing."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.recording.killing import kill_one, look

AT_ONCE = 3


@pytest.mark.parametrize(("mode", "kills"), [("live", 6), ("closing", 6)])
def test_killed_at_random_moments(tmp_path: Path, mode: str, kills: int) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        left = list(pool.map(lambda seed: kill_one(tmp_path / str(seed), mode, seed), range(kills)))
    for kill in left:
        look(kill, mode)
