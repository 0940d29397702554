"""The accuracy of a real driver against a source that keeps its own log."""

from dataclasses import replace

from tui.load.accuracy import MAX_STAMP_ERROR_US, Accuracy, measure


async def test_it_tells_what_the_client_adds_and_what_can_be_trusted() -> None:
    accuracy = await measure(step_s=1.0)
    assert 0 < accuracy.ttft_added_p50_us <= accuracy.ttft_added_p99_us
    assert 0 <= accuracy.itl_error_p50_us <= accuracy.itl_error_p99_us
    assert 0 < accuracy.stamp_error_p50_us <= accuracy.stamp_error_p99_us  # nothing arrives before it was sent
    assert accuracy.bulk_tokens_s > accuracy.paced_tokens_s > 0
    assert accuracy.cpu_us_a_token > 0
    assert 0 <= accuracy.merged_share <= 1


def test_a_machine_on_which_even_a_small_load_is_measured_badly_is_not_trusted() -> None:
    quiet = Accuracy(50.0, 200.0, 3.0, 9.0, 8000.0, 5.0, 30.0, 20.0, 1e6, kernel_stamps=True, bound=False)
    assert quiet.trusted_tokens_s == 25_000
    assert "trusted up to at least 25,000 output tokens/s" in quiet.conclusion()
    for busy in (replace(quiet, bound=True), replace(quiet, stamp_error_p99_us=2 * MAX_STAMP_ERROR_US)):
        assert busy.trusted_tokens_s == 0
        assert "too busy" in busy.conclusion()
        assert busy.lines()[-1] == busy.conclusion()
