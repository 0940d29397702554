"""What stays on the terminal says the last verdict, not one of its own."""

import pytest
from msgspec.structs import replace

from tests.ui.fake_source import FakeSource
from tui.stats.verdict import Verdict
from tui.ui.comparison import summary_lines


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict("output_tps", "A ahead", 1.14, 1.08, 1.21), "A/B output tok/s 1.14 [1.08 … 1.21], A ahead"),
        (Verdict("output_tps", "level", 1.0, 0.99, 1.01), "A/B output tok/s 1.00 [0.99 … 1.01], level"),
        (Verdict("output_tps", "undecided"), "A/B output tok/s 1.13, undecided"),
        (
            Verdict("output_tps", "not comparable", reason="not comparable because the models differ"),
            "A/B output tok/s 1.13, not comparable: the models differ",
        ),
    ],
)
def test_the_last_verdict_is_told(verdict: Verdict, told: str) -> None:
    view = replace(FakeSource(second=150).view(30), verdicts={"output_tps": verdict})
    assert told in summary_lines(view)


def test_without_a_verdict_the_plain_ratio_is_undecided() -> None:
    assert "A/B output tok/s 1.13, undecided" in summary_lines(FakeSource(second=150).view(30))
