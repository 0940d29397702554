"""The ruler measures a real driver against a source that keeps its own log."""

from dataclasses import replace

from tui.load.accuracy import LARGE_ERROR_US, Accuracy, measure


async def test_the_ruler_tells_what_the_client_adds_and_what_may_be_trusted() -> None:
    ruler = await measure(step_s=1.0)
    assert 0 < ruler.ttft_added_p50_us <= ruler.ttft_added_p99_us
    assert 0 <= ruler.itl_error_p50_us <= ruler.itl_error_p99_us
    assert 0 < ruler.stamp_error_p50_us <= ruler.stamp_error_p99_us  # nothing arrives before it was sent
    assert ruler.bulk_tokens_s > ruler.paced_tokens_s > 0
    assert ruler.cpu_us_a_token > 0
    assert 0 <= ruler.merged_share <= 1


def test_a_machine_on_which_even_a_small_load_is_measured_badly_is_not_trusted() -> None:
    quiet = Accuracy(50.0, 200.0, 3.0, 9.0, 8000.0, 5.0, 30.0, 20.0, 1e6, kernel_stamps=True, bound=False)
    assert quiet.trusted_tokens_s == 25_000
    assert "trusted up to at least 25,000 output tokens/s" in quiet.sentence()
    for busy in (replace(quiet, bound=True), replace(quiet, stamp_error_p99_us=2 * LARGE_ERROR_US)):
        assert busy.trusted_tokens_s == 0
        assert "too busy" in busy.sentence()
        assert busy.lines()[-1] == busy.sentence()
