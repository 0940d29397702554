"""Captured pages as gauges: the figures below were read off the pages by hand."""

import pytest

from tests.telemetry.pages import CAPTURED, kind, page
from tui.engines.registry import engine
from tui.engines.sglang import read_loads
from tui.model import gauges
from tui.telemetry.server import gauges_from


def read(name: str) -> dict[str, float]:
    return gauges_from(engine(kind(name)), page(name))


def test_vllm_under_load() -> None:
    found = read("vllm-0.32.0-c32.txt")
    assert found[gauges.RUNNING] == 25
    assert found[gauges.KV_USAGE] == pytest.approx(0.0061042608)
    assert found[gauges.KV_POOL_TOKENS] == 1_048_576
    assert found[gauges.KV_BYTES] == 1 << 30
    assert (found[gauges.PREFIX_HITS], found[gauges.PREFIX_QUERIES]) == (0, 52_861)
    assert found[gauges.GENERATION_TOKENS] == 96_615
    assert found[gauges.GENERATION_TOKENS_FINISHED] == 92_560


def test_sglang_under_load_counts_first_tokens_with_the_decoded_ones() -> None:
    found = read("sglang-0.5.23-c32.txt")
    assert found[gauges.GENERATION_TOKENS] == 56_783 + 1 + 408
    assert found[gauges.GENERATION_TOKENS_FINISHED] == 8 + 52_224
    assert found[gauges.KV_USAGE] == pytest.approx(0.09649658)
    assert (found[gauges.PREFIX_HITS], found[gauges.PREFIX_QUERIES]) == (18_053, 31_786)
    assert found[gauges.WEIGHTS_BYTES] == pytest.approx(0.024700164794921875 * 2**30)


def test_queued_requests_are_waiting_on_both() -> None:
    for name in ("vllm-0.32.0-c16-queue.txt", "sglang-0.5.23-c16-queue.txt"):
        found = read(name)
        assert (found[gauges.RUNNING], found[gauges.WAITING]) == (4, 12), name


def test_sglang_0_5_20_has_the_same_gauges() -> None:
    assert read("sglang-0.5.20-c8.txt").keys() == read("sglang-0.5.23-c32.txt").keys()


def test_llamacpp_prompt_tokens_hold_the_cached_ones() -> None:
    found = read("llamacpp-c16.txt")
    assert found[gauges.PROMPT_TOKENS] == 21_428 + 35_674
    assert found[gauges.PREFIX_HITS] == 35_674
    assert gauges.GENERATION_TOKENS not in found  # its counter rises only when a request ends


def test_old_names_stand_in_for_new_ones() -> None:
    raw = (
        b'vllm:gpu_cache_usage_perc{engine="0"} 0.5\nvllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1\n'
    )
    assert gauges_from(engine("vllm"), raw) == {gauges.KV_USAGE: 0.5, gauges.KV_POOL_TOKENS: 1600}


def test_data_parallel_engines_are_summed_and_their_kv_use_averaged() -> None:
    lines = b'vllm:num_requests_running{engine="%d"} %d\nvllm:kv_cache_usage_perc{engine="%d"} %f\n'
    raw = lines % (0, 3, 0, 0.2) + lines % (1, 4, 1, 0.4)
    found = gauges_from(engine("vllm"), raw)
    assert found[gauges.RUNNING] == 7
    assert found[gauges.KV_USAGE] == pytest.approx(0.3)


def test_tensor_parallel_ranks_that_tell_the_same_count_once() -> None:
    line = b'sglang:num_running_reqs{dp_rank="%d",tp_rank="%d",pp_rank="0"} %d\n'
    # Attention data parallelism: rank 1 of the data group starts at tensor rank 2.
    ranks = [(0, 0, 5), (0, 1, 5), (1, 2, 9), (1, 3, 9), (0, 10, 5)]
    assert gauges_from(engine("sglang"), b"".join(line % rank for rank in ranks))[gauges.RUNNING] == 14


def test_nan_and_none_are_no_reading() -> None:
    raw = b'vllm:num_requests_running NaN\nvllm:cache_config_info{kv_cache_memory_bytes="None"} 1\n'
    assert gauges_from(engine("vllm"), raw) == {}


def test_loads_stand_in_for_sglangs_metrics() -> None:
    found = read_loads((CAPTURED / "sglang-0.5.23-loads-c32.json").read_bytes())
    assert found[gauges.RUNNING] == 32
    assert found[gauges.KV_USAGE] == pytest.approx(0.1077)
    assert found[gauges.KV_POOL_TOKENS] == 65_536
    assert gauges.GENERATION_TOKENS not in found


def test_loads_of_several_ranks() -> None:
    raw = b'{"loads":[{"num_running_reqs":3,"token_usage":0.2},{"num_running_reqs":4,"token_usage":0.4}]}'
    assert read_loads(raw) == {gauges.RUNNING: 7, gauges.KV_USAGE: pytest.approx(0.3)}


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"loads": {}}', b'{"detail":"Not Found"}'])
def test_other_json_is_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match="JSON"):
        read_loads(raw)
