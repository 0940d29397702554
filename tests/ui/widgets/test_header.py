"""The verdict line."""

from tui.stats.verdict import Verdict
from tui.ui.comparison import Comparison
from tui.ui.widgets.header import verdict_row


def test_a_narrow_verdict_line_drops_a_clause_and_cuts_no_number() -> None:
    verdict = Verdict("output_tps", "B ahead", 0.58, 0.54, 0.63)
    comparison = Comparison(verdict, "output tok/s", 0.58, note="116 s settled, level within 3.0%")
    wide, narrow = ("".join(text for text, _ in verdict_row(comparison, width)) for width in (100, 80))
    assert "level within 3.0%" in wide
    assert narrow.rstrip().endswith("116 s settled")
