"""What each engine refuses, in the words of vLLM 0.32.0 and SGLang 0.5.23 wherever those were captured."""

import json
from typing import Any

import pytest

from tui.simulator.asking import understand
from tui.simulator.presets import PRESETS
from tui.simulator.refusals import RefusedError

LIMIT = 32_768
CASES: dict[str, tuple[bool, dict[str, Any], dict[str, str]]] = {
    "prompt too long": (
        False,
        {"prompt": [1] * 40_000},
        {
            "vllm": f"This model's maximum context length is {LIMIT} tokens. However, your prompt contains at least "
            f"{LIMIT + 1} input tokens, which exceeds this limit even without any output tokens. Please reduce the "
            f"length of the input prompt. (parameter=input_tokens, value={LIMIT + 1})",
            "sglang": f"The input (40000 tokens) is longer than the model's context length ({LIMIT} tokens).",
        },
    ),
    "output over the context": (
        True,
        {"messages": [{"role": "user", "content": "x"}], "max_tokens": 100_000},
        {
            "vllm": f"max_tokens=100000 cannot be greater than max_model_len={LIMIT}. Please request fewer output "
            "tokens. (parameter=max_tokens, value=100000)",
            "sglang": "max_completion_tokens is too large: 100000.This model supports at most "
            f"{LIMIT} completion tokens.",
        },
    ),
    "sum over the context": (
        False,
        {"prompt": [1] * 32_760, "max_tokens": 500},
        {"sglang": f"Requested token count exceeds the model's maximum context length of {LIMIT} tokens."},
    ),
    "no output tokens": (
        False,
        {"prompt": [1], "max_tokens": 0},
        {"vllm": "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)"},
    ),
    "cold": (
        False,
        {"prompt": [1], "temperature": -1},
        {
            "vllm": "temperature must be non-negative, got -1.0. (parameter=temperature, value=-1.0)",
            "sglang": "temperature must be a non-negative finite number, got -1.0.",
        },
    ),
    "least over most": (
        False,
        {"prompt": [1], "max_tokens": 3, "min_tokens": 5},
        {
            "vllm": "min_tokens must be less than or equal to max_tokens=3, got 5.",
            "sglang": "min_new_tokens must be in [0, max_new_tokens(3)], got 5.",
        },
    ),
    "empty prompt": (
        False,
        {"prompt": ""},
        {
            "vllm": "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)",
            "sglang": "Prompt cannot be empty",
        },
    ),
    "options without stream": (
        False,
        {"prompt": [1], "stream_options": {"include_usage": True}},
        {"vllm": "Stream options can only be defined when `stream=True`. (parameter=stream_options)"},
    ),
    "no messages": (
        True,
        {},
        {
            "vllm": "1 validation error:\n  {'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required'}",
            "sglang": "1 validation error:\n  {'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field",
        },
    ),
    "a number in letters": (
        False,
        {"prompt": [1], "max_tokens": "abc"},
        {
            "vllm": "1 validation error:\n  {'type': 'int_parsing', 'loc': 'body.max_tokens', 'msg': 'Input",
            "sglang": "1 validation error:\n  {'type': 'int_parsing', 'loc': ('body', 'max_tokens'), 'msg'",
        },
    ),
    "options that are no object": (
        False,
        {"prompt": [1], "stream": True, "stream_options": 3},
        {"vllm": "1 validation error", "sglang": "1 validation error"},
    ),
    "a token outside the vocabulary": (
        False,
        {"prompt": [5, 32_000]},
        {"vllm": "Token id 32000 is out of vocabulary", "sglang": "Token id 32000 is out of vocabulary"},
    ),
}


@pytest.mark.parametrize("engine", PRESETS)
@pytest.mark.parametrize("case", CASES)
def test_refused_in_the_engines_words(engine: str, case: str) -> None:
    chat, fields, messages = CASES[case]

    def ask() -> None:
        understand(json.dumps(fields).encode(), PRESETS[engine], "m", "chat" if chat else "completions", number=1)

    if engine not in messages:
        ask()
        return
    with pytest.raises(RefusedError) as refused:
        ask()
    assert refused.value.status == 400
    assert refused.value.message.startswith(messages[engine])


def test_bodies_have_the_engines_shape() -> None:
    refused = RefusedError(400, "why", param="prompt")
    fields = {"message": "why", "type": "BadRequestError", "param": "prompt", "code": 400}
    assert refused.body("vllm") == {"error": fields}
    assert refused.body("sglang") == {"object": "error", **fields, "param": None}


def test_only_vllm_minds_the_models_name() -> None:
    body = json.dumps({"prompt": [1], "model": "nope"}).encode()
    assert understand(body, PRESETS["sglang"], "m", "completions", number=1).model == "nope"
    with pytest.raises(RefusedError) as refused:
        understand(body, PRESETS["vllm"], "m", "completions", number=1)
    assert refused.value.status == 404
    assert refused.value.message == "The model `nope` does not exist. Valid aliases: m."


def test_vllm_gives_what_fits_the_context() -> None:
    body = json.dumps({"prompt": [1] * 32_760, "max_tokens": 500, "ignore_eos": True}).encode()
    assert understand(body, PRESETS["vllm"], "m", "completions", number=1).output_tokens == 8


def test_answers_end_by_themselves_between_min_and_max_unless_told_not_to() -> None:
    lengths = []
    for number in range(200):
        body = json.dumps({"prompt": [1], "max_tokens": 300, "min_tokens": 20}).encode()
        asked = understand(body, PRESETS["vllm"], "m", "completions", number=number)
        assert 20 <= asked.output_tokens <= 300
        assert (asked.finish_reason == "length") == (asked.output_tokens == 300)
        lengths.append(asked.output_tokens)
    assert len(set(lengths)) > 50
    assert 300 in lengths
