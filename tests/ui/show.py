"""`python -m tests.ui.show`: the screen on made-up numbers, one second a second."""

import sys
from contextlib import suppress

from tui.ui.terminal import prepare_terminal


def main() -> int:
    prepare_terminal()
    from tests.ui.fake_source import FakeSource
    from tui.session.clock import Clock
    from tui.ui.app import DragstripApp

    source = FakeSource(
        second=120 if "--later" in sys.argv else 0, lanes="a" if "--one" in sys.argv else "ab", clock=Clock()
    )
    source.playing = True
    app = DragstripApp(source, ascii_only="--ascii" in sys.argv)
    code = app.run()
    with suppress(OSError):  # the terminal may be gone
        sys.stdout.write("\n".join(app.summary) + "\n")
        sys.stdout.flush()
        if app.log_path:
            sys.stderr.write(app.log_path.read_text(encoding="utf-8"))
    return code or app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
