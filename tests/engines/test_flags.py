"""The flag that gives a running server another setting, as its engine and version spell it."""

import pytest

from tui.engines.base import Flag, version_numbers
from tui.engines.settings import flag_for

VLLM: dict[str, object] = {"engine": "vllm", "version": "0.33.0", "kv_block": 128}
SGLANG = VLLM | {"engine": "sglang", "version": "0.5.23"}


def test_a_pool_is_given_in_tokens_or_in_blocks_of_the_servers_size() -> None:
    assert flag_for(VLLM, "kv_tokens", 65_536) == "--num-gpu-blocks-override 512"
    assert flag_for(SGLANG, "kv_tokens", 1_048_576) == "--max-total-tokens 1048576"


def test_a_switch_names_the_flag_that_turns_it_and_none_for_a_default() -> None:
    assert flag_for(VLLM, "prefix_cache", False) == "--no-enable-prefix-caching"
    assert flag_for(SGLANG, "prefix_cache", True) == ""
    assert flag_for(SGLANG | {"version": "0.5.10"}, "cuda_graphs", False) == "--disable-cuda-graph"


def test_no_flag_is_given_a_value_that_the_engine_does_not_take() -> None:
    assert (flag_for(VLLM, "kv_block", 1), flag_for(SGLANG, "kv_block", 128)) == ("", "--page-size 128")


def test_sampling_defaults_are_named_as_each_engine_names_them() -> None:
    assert flag_for(VLLM, "sampling_defaults", "model") == "--generation-config auto"
    assert flag_for(SGLANG, "sampling_defaults", "neutral") == "--sampling-defaults openai"
    assert flag_for(SGLANG, "sampling_defaults", "other") == ""


def test_a_context_that_slots_share_is_asked_for_times_their_number() -> None:
    assert flag_for({"engine": "llamacpp", "max_running": 8}, "max_model_len", 4096) == "-c 32768"
    assert flag_for({"engine": "llamacpp"}, "max_model_len", 4096) == "-c 4096"


@pytest.mark.parametrize("settings", [{}, {"engine": "openai"}, {"engine": "of old"}, VLLM])
def test_what_an_engine_has_no_flag_for_gets_none(settings: dict[str, object]) -> None:
    assert flag_for(settings, "gpus", "1 × H100") == ""


@pytest.mark.parametrize(
    ("version", "numbers"), [("0.5.20.post1", (0, 5, 20)), ("v1.2", (1, 2)), ("b0-unknown", ()), ("", ())]
)
def test_version_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert version_numbers(version) == numbers


def test_an_unknown_version_is_taken_as_new() -> None:
    flag = Flag("--new {}", since=(2, 0), before=Flag("--old {}"))
    assert [flag.for_version(version).text(3) for version in ("", "dev", "2.0", "1.9.9")] == [
        "--new 3", "--new 3", "--new 3", "--old 3",
    ]  # fmt: skip
