"""What the first paint may import stays light."""

import subprocess
import sys


def test_the_words_of_a_verdict_need_neither_numpy_nor_polars() -> None:
    code = "import sys, tui.stats.verdict; print({'numpy', 'polars'} & set(sys.modules))"
    python = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert python.stdout.strip() == "set()"


def test_a_screen_is_painted_before_what_is_heavy_is_imported() -> None:
    """Numpy, Polars and httpx come once the first picture stands."""
    program = """
import sys
from tui.cli import console, watch
from tui.cli.main import main

def heavy(make_source, **options):
    import tui.ui.app
    make_source()
    print([name for name in ("numpy", "polars", "httpx", "aiohttp") if name in sys.modules])
    return 0

watch.run_screen, watch.require_terminal = heavy, lambda instead: None
main(["watch", "demo", "--no-record"])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n", ended.stdout
