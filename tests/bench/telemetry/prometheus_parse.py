"""How much faster it is to parse only the wanted metrics: `python -m tests.bench.telemetry.prometheus_parse`.

Give files of metrics pages as arguments to read those instead of the captured ones (which lack most buckets).
"""

import sys
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.telemetry.pages import CAPTURED, PAGES
from tui.engines.readings import gauges_from
from tui.engines.registry import ENGINES

TIMES = 50


def main() -> None:
    """Print both times and their ratio for each page."""
    for path in [Path(name) for name in sys.argv[1:]] or [CAPTURED / name for name in PAGES]:
        page = path.read_bytes()
        engine = next(each for each in ENGINES.values() if each.kind.encode() + b":" in page)
        began = time.perf_counter()
        for _ in range(TIMES):
            gauges_from(engine, page)
        ours_ms = (time.perf_counter() - began) / TIMES * 1e3
        began = time.perf_counter()
        list(text_string_to_metric_families(page.decode()))
        whole_ms = (time.perf_counter() - began) * 1e3
        print(
            f"{path.name:28} {len(page):6} bytes: wanted {ours_ms:.2f} ms, every line {whole_ms:.1f} ms, "
            f"{whole_ms / ours_ms:.0f} times"
        )


if __name__ == "__main__":
    main()
