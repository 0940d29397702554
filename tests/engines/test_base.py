"""What each engine is sent: nothing that it refuses, and no sampling left to its own defaults."""

from typing import Any, Literal

import pytest

from tui.engines.base import Flag, Request, version_numbers
from tui.engines.registry import ENGINES, get_engine
from tui.model.profile import Endpoint

OFFICIAL = {"model", "prompt", "messages", "max_tokens", "temperature", "top_p", "presence_penalty",
            "frequency_penalty", "seed", "stream", "stream_options"}  # fmt: skip
# Fields of TensorRT-LLM's request classes; it answers 400 to any other.
TRTLLM = OFFICIAL | {"max_completion_tokens", "top_k", "min_p", "repetition_penalty", "ignore_eos"}
KINDS = sorted(ENGINES)


def body(kind: str, endpoint: Endpoint | Literal[""] = "", temperature: float = 0.7) -> dict[str, Any]:
    engine = get_engine(kind)
    chosen = endpoint or engine.endpoint
    prompt: str | list[int] = [5, 6, 7] if engine.prompt_form == "ids" and chosen != "chat" else "one two"
    return engine.body(Request(chosen, "m", prompt, 32, temperature, 17))


@pytest.mark.parametrize("kind", KINDS)
def test_every_body_streams_with_usage_and_says_how_to_sample(kind: str) -> None:
    sent = body(kind)
    assert sent["stream"] is True
    assert sent["stream_options"]["include_usage"] is True
    assert (sent["model"], sent["temperature"]) == ("m", 0.7)
    assert body(kind, temperature=0.0)["seed"] == 17
    assert 32 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))


@pytest.mark.parametrize("kind", ["vllm", "sglang", "trtllm", "lmdeploy", "llamacpp"])
def test_engines_that_can_are_asked_to_ignore_the_end_token_and_given_neutral_sampling(kind: str) -> None:
    sent = body(kind)
    assert sent["ignore_eos"] is True
    assert sent["top_p"] == 1.0
    assert sent["min_p"] == 0.0
    assert sent["top_k"] in (0, -1)
    assert sent.get("repetition_penalty", sent.get("repeat_penalty")) == 1.0


@pytest.mark.parametrize("kind", ["openai", "ollama", "tgi"])
def test_others_are_sent_official_fields_only(kind: str) -> None:
    assert body(kind).keys() <= OFFICIAL
    assert body(kind)["stream_options"] == {"include_usage": True}


def test_trtllm_is_sent_only_what_it_knows() -> None:
    assert body("trtllm").keys() <= TRTLLM
    assert body("trtllm", "chat").keys() <= TRTLLM


def test_tgi_is_not_sent_what_it_refuses_or_misreads() -> None:
    assert not {"top_p", "presence_penalty"} & body("tgi").keys()


@pytest.mark.parametrize("kind", ["vllm", "sglang", "trtllm"])
def test_usage_comes_with_every_chunk_where_that_is_honoured(kind: str) -> None:
    assert body(kind)["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


def test_vllm_and_sglang_are_asked_for_exactly_the_same() -> None:
    for endpoint in ("completions", "chat"):
        assert body("vllm", endpoint) == body("sglang", endpoint)


def test_a_seed_that_would_slow_vllms_sampler_is_left_out_where_it_draws() -> None:
    assert "seed" not in body("vllm", temperature=0.7)
    assert body("vllm", temperature=0.0)["seed"] == 17
    assert body("llamacpp", temperature=0.7)["seed"] == 17


def test_ids_go_to_completions_and_text_to_a_chat() -> None:
    assert body("vllm")["prompt"] == [5, 6, 7]
    assert body("vllm", "chat")["messages"] == [{"role": "user", "content": "one two"}]
    with pytest.raises(ValueError, match="not as token ids"):
        get_engine("vllm").body(Request("chat", "m", [5], 1, 0.0, 0))


def test_sglangs_generate_is_asked_for_the_same_work() -> None:
    sent, completion = body("sglang", "generate"), body("sglang", "completions")
    sampling = sent["sampling_params"]
    assert (sent["input_ids"], sampling.pop("max_new_tokens")) == (completion["prompt"], completion["max_tokens"])
    assert sampling == {name: completion[name] for name in sampling}
    same = {"model", "prompt", "max_tokens", "stream", "stream_options"}  # the model is the only one it serves
    assert completion.keys() - sampling.keys() == same
    assert body_of_text()["text"] == "one two"


def body_of_text() -> dict[str, Any]:
    return get_engine("sglang").body(Request("generate", "m", "one two", 32, 0.0, 17))


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
