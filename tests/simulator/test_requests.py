"""What each engine refuses, and how many tokens an answer has."""

import json
from typing import Any

import pytest

from tui.simulator.requests import RefusedError, parse_request
from tui.simulator.scheduler import PRESETS

BOTH = ("vllm", "sglang")
CASES: dict[str, tuple[bool, dict[str, Any], tuple[str, ...]]] = {
    "prompt too long": (False, {"prompt": [1] * 40_000}, BOTH),
    "output over the context": (True, {"messages": [{"content": "x"}], "max_tokens": 100_000}, BOTH),
    "sum over the context": (False, {"prompt": [1] * 32_760, "max_tokens": 500}, ("sglang",)),
    "no output tokens": (False, {"prompt": [1], "max_tokens": 0}, ("vllm",)),
    "empty prompt": (False, {"prompt": ""}, BOTH),
    "no messages": (True, {}, BOTH),
    "empty messages": (True, {"messages": []}, BOTH),
    "a number in letters": (False, {"prompt": [1], "max_tokens": "abc"}, BOTH),
    "options that are no object": (False, {"prompt": [1], "stream": True, "stream_options": 3}, BOTH),
    "ids in letters": (False, {"prompt": ["x"]}, BOTH),
    "a token outside the vocabulary": (False, {"prompt": [5, 32_000]}, BOTH),
}


@pytest.mark.parametrize("engine", PRESETS)
@pytest.mark.parametrize("case", CASES)
def test_refused_by_the_engines_that_do(engine: str, case: str) -> None:
    chat, fields, engines = CASES[case]

    def ask() -> None:
        parse_request(json.dumps(fields).encode(), PRESETS[engine], "chat" if chat else "completions", number=1)

    if engine not in engines:
        ask()
        return
    with pytest.raises(RefusedError) as refused:
        ask()
    assert refused.value.status == 400


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff"])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(RefusedError, match="malformed"):
        parse_request(raw, PRESETS["vllm"], "completions", number=1)


def test_bodies_have_the_engines_shape() -> None:
    refused = RefusedError(400, "why")
    fields = {"message": "why", "type": "Bad Request", "param": None, "code": 400}
    assert refused.body("vllm") == {"error": fields}
    assert refused.body("sglang") == {"object": "error", **fields}


def test_only_vllm_minds_the_models_name() -> None:
    body = json.dumps({"prompt": [1], "model": "nope"}).encode()
    assert parse_request(body, PRESETS["sglang"], "completions", number=1).model == "nope"
    with pytest.raises(RefusedError) as refused:
        parse_request(body, PRESETS["vllm"], "completions", number=1)
    assert refused.value.status == 404


def test_vllm_gives_what_fits_the_context() -> None:
    body = json.dumps({"prompt": [1] * 32_760, "max_tokens": 500, "ignore_eos": True}).encode()
    assert parse_request(body, PRESETS["vllm"], "completions", number=1).output_tokens == 8


def test_answers_end_by_themselves_between_min_and_max_unless_asked_not_to() -> None:
    lengths = []
    for number in range(200):
        body = json.dumps({"prompt": [1], "max_tokens": 300, "min_tokens": 20}).encode()
        request = parse_request(body, PRESETS["vllm"], "completions", number=number)
        assert 20 <= request.output_tokens <= 300
        assert (request.finish_reason == "length") == (request.output_tokens == 300)
        lengths.append(request.output_tokens)
    assert len(set(lengths)) > 50
    assert 300 in lengths
