"""Settings side by side: what counts as a difference, what it does, and what removes it."""

import pytest

from tui.judge.comparable import differences, grave, reason
from tui.model.settings import ENGINE_SETTING, ENGINE_SETTINGS
from tui.model.text import UserError

VLLM: dict[str, object] = {
    "engine": "vllm", "version": "0.33.0", "model": "m", "weights": "Llama-3", "max_model_len": 8192,
    "kv_tokens": 1_048_576, "prefix_cache": True, "kv_block": 128, "max_running": 256, "cuda_graphs": True,
    "sampling_defaults": "neutral",
}  # fmt: skip
SGLANG = VLLM | {"engine": "sglang", "version": "0.5.23"}


def test_alike_settings_make_no_difference() -> None:
    assert differences(VLLM, SGLANG) == []
    assert reason([]) == ""


def test_a_difference_names_both_values_and_its_effect() -> None:
    (unequal,) = differences(VLLM, SGLANG | {"kv_tokens": 65_536})
    assert unequal.sentence == "KV tokens differ (1,048,576 against 65,536)"
    assert unequal.effect == "the smaller pool queues and preempts first"
    assert reason([unequal]) == "not comparable because KV tokens differ (1,048,576 against 65,536)"


def test_a_switch_is_on_or_off() -> None:
    (unequal,) = differences(VLLM, SGLANG | {"prefix_cache": False})
    assert unequal.sentence == "prefix cache differs (on against off)"


def test_what_one_does_not_tell_is_no_difference() -> None:
    assert differences(VLLM, {"engine": "lmdeploy", "model": "m"}) == []


def test_a_pool_rounded_to_blocks_is_the_same_pool() -> None:
    assert differences(VLLM, SGLANG | {"kv_tokens": 1_048_576 - 20_000}) == []
    assert differences(VLLM, SGLANG | {"kv_tokens": 1_048_576 - 22_000})


def test_the_same_weights_under_two_names_are_one_model() -> None:
    assert differences(VLLM, SGLANG | {"model": "other"}) == []
    (unequal,) = differences(VLLM, SGLANG | {"model": "other", "weights": "Llama-4"})
    assert unequal.key == "model"


def test_a_batch_limit_that_the_load_does_not_reach_is_a_note() -> None:
    other = SGLANG | {"max_running": 128}
    assert [d.severity for d in differences(VLLM, other)] == ["incomparable"]
    assert [d.severity for d in differences(VLLM, other, streams=128)] == ["note"]
    assert [d.severity for d in differences(VLLM, other, streams=129)] == ["incomparable"]


def test_the_gravest_come_first_and_notes_do_not_stand_in_the_way() -> None:
    listed = differences(VLLM | {"kv_block": 16}, SGLANG | {"kv_block": 1, "max_model_len": 4096})
    assert [d.key for d in listed] == ["max_model_len", "kv_block"]
    assert [d.key for d in grave(listed)] == ["max_model_len"]


def test_a_difference_can_be_waived_by_its_key() -> None:
    other = SGLANG | {"kv_tokens": 1, "prefix_cache": False}
    assert reason(differences(VLLM, other, waived=["kv_tokens"])) == (
        "not comparable because prefix cache differs (on against off)"
    )
    assert reason(differences(VLLM, other, waived=["kv_tokens", "prefix_cache"])) == ""
    with pytest.raises(UserError, match="nothing is called kv to waive; there are: model, quantisation"):
        differences(VLLM, other, waived=["kv"])


def test_sampling_defaults_are_a_note() -> None:
    (unequal,) = differences(VLLM, SGLANG | {"sampling_defaults": "model"})
    assert unequal.severity == "note"


def test_terms_are_declared_once_with_words_for_everything() -> None:
    assert len(ENGINE_SETTING) == len(ENGINE_SETTINGS)
    assert all(term.label and term.effect for term in ENGINE_SETTINGS)
