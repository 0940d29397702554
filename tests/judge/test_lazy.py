"""What the first paint may import stays light."""

import subprocess
import sys


def test_the_words_of_a_verdict_need_neither_numpy_nor_polars() -> None:
    code = "import sys, tui.stats.verdict; print({'numpy', 'polars'} & set(sys.modules))"
    python = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert python.stdout.strip() == "set()"
