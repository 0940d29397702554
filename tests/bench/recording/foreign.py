"""Have other tools read our exports with their own code.

`python -m tests.bench.recording.foreign vllm=PYTHON sglang=PYTHON guidellm=PYTHON aiperf=PYTHON`, each the Python of
an environment that has the tool.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.recording import coherent
from tui.export.formats import export
from tui.recording.reader import Selection

READERS = Path(__file__).parent / "readers"


def main() -> None:
    """Record a made-up session, export it, and let each tool judge."""
    pythons = dict(argument.split("=", 1) for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        recorded = coherent.record(Path(folder) / "session")
        ours = Selection(tables=("requests",), lane="a")
        (requests,) = export(recorded, "csv", Path(folder) / "requests.csv", ours)
        for name, python in pythons.items():
            file, *_ = export(recorded, name, Path(folder) / name, Selection(lane="a"))
            subprocess.run([python, READERS / f"read_{name}.py", file.path, requests.path], check=True)


if __name__ == "__main__":
    main()
