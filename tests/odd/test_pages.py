"""Kind 7: metrics that are on hold figures; a page without any is said to be what it is."""

import pytest

from tests.odd.drive import examined
from tests.odd.pages import PAGES, OddPage
from tests.odd.server import serving
from tests.odd.unmended import cases
from tui.engines.readings import gauges_from
from tui.engines.registry import ENGINES
from tui.telemetry.server import reading


@pytest.mark.parametrize("page", cases("page", PAGES))
async def test_doctor_says_whether_the_page_has_gauges(page: OddPage) -> None:
    report = await examined(page.server)
    assert report.comparable, report.sentence
    (row,) = [row for row in report.rows if row.label == "metrics"]
    if page.gauges:
        assert row.values[0].startswith("on")
        assert row.mark == "same"
    else:
        assert row.values != ("on",)
        assert row.mark != "same"
        assert row.lines


@pytest.mark.parametrize("page", [page for page in PAGES if page.gauges], ids=lambda page: page.name)
async def test_the_gauges_are_those_of_the_page(page: OddPage) -> None:
    async with serving(page.server) as running:
        with reading(f"{running.url}/metrics", {}) as read:
            gauges = gauges_from(ENGINES["vllm"], await read())
    assert {name: gauges[name] for name in page.gauges} == page.gauges
