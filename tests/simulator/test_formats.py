"""Each event against what the real engine sent, captured from vLLM 0.32.0 and SGLang 0.5.23, key for key."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tui.simulator.requests import DONE, ParsedRequest
from tui.simulator.sglang import GenerateAnswer, SglangAnswer
from tui.simulator.vllm import VllmAnswer

TRANSCRIPTS = Path(__file__).parents[1] / "net" / "transcripts"
# What differs between requests is written as the simulator writes it for a prompt of 77 tokens: id ID,
# time 0, model tiny-llama, text " two". One token before the last, the last token, and all that follows.
HEAD = '{"id":"ID","object":"chat.completion.chunk","created":0,"model":"tiny-llama","choices":['
TEXT = '{"id":"ID","object":"text_completion","created":0,"model":"tiny-llama","choices":['
CAPTURED: dict[tuple[str, str], list[str]] = {
    ("vllm", "chat with usage on every chunk"): [
        HEAD
        + '{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],'
        + '"usage":{"prompt_tokens":77,"total_tokens":77,"completion_tokens":0,"completion_tokens_details":null},'
        + '"prompt_token_ids":null,"prompt_text":null}',
        HEAD
        + '{"index":0,"delta":{"content":" two"},"logprobs":null,"finish_reason":null,"token_ids":null}],'
        + '"usage":{"prompt_tokens":77,"total_tokens":78,"completion_tokens":1,"completion_tokens_details":null}}',
        HEAD
        + '{"index":0,"delta":{"content":" two"},"logprobs":null,"finish_reason":"length","stop_reason":null,'
        + '"token_ids":null}],'
        + '"usage":{"prompt_tokens":77,"total_tokens":79,"completion_tokens":2,"completion_tokens_details":null}}',
        HEAD
        + '],"usage":{"prompt_tokens":77,"total_tokens":79,"completion_tokens":2},'
        + '"system_fingerprint":"vllm-simulated"}',
    ],
    ("vllm", "chat without usage"): [
        HEAD
        + '{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],'
        + '"prompt_token_ids":null,"prompt_text":null}',
        HEAD + '{"index":0,"delta":{"content":" two"},"logprobs":null,"finish_reason":null,"token_ids":null}]}',
        HEAD
        + '{"index":0,"delta":{"content":" two"},"logprobs":null,"finish_reason":"length","stop_reason":null,'
        + '"token_ids":null}],"system_fingerprint":"vllm-simulated"}',
    ],
    ("vllm", "completions with usage"): [
        (
            TEXT
            + '{"index":0,"text":" two",'
            + '"logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}'
        ),
        (
            TEXT
            + '{"index":0,"text":" two",'
            + '"logprobs":null,"finish_reason":"length","stop_reason":null,"prompt_token_ids":null,'
            + '"token_ids":null}]}'
        ),
        (
            TEXT
            + "],"
            + '"usage":{"prompt_tokens":77,"total_tokens":79,"completion_tokens":2},'
            + '"system_fingerprint":"vllm-simulated"}'
        ),
    ],
    ("sglang", "chat with usage on every chunk"): [
        HEAD
        + '{"index":0,"delta":{"reasoning_content":null,"role":"assistant","content":""},"logprobs":null,'
        + '"finish_reason":null,"matched_stop":null}]}',
        HEAD
        + '{"index":0,"delta":{"reasoning_content":null,"content":" two"},"logprobs":null,"finish_reason":null,'
        + '"matched_stop":null}],"usage":{"prompt_tokens":77,"total_tokens":78,"completion_tokens":1,'
        + '"prompt_tokens_details":null,"reasoning_tokens":0,"completion_tokens_details":null}}',
        HEAD
        + '{"index":0,"delta":{"reasoning_content":null,"content":" two"},"logprobs":null,"finish_reason":null,'
        + '"matched_stop":null}],"usage":{"prompt_tokens":77,"total_tokens":79,"completion_tokens":2,'
        + '"prompt_tokens_details":null,"reasoning_tokens":0,"completion_tokens_details":null}}',
        HEAD
        + '{"index":0,"delta":{"reasoning_content":null},"logprobs":null,"finish_reason":"length",'
        + '"matched_stop":null}]}',
        HEAD
        + '],"usage":{"prompt_tokens":77,"total_tokens":79,"completion_tokens":2,"prompt_tokens_details":null,'
        + '"reasoning_tokens":0,"completion_tokens_details":null}}',
    ],
    ("sglang", "completions with usage"): [
        (
            TEXT
            + '{"index":0,"text":" two",'
            + '"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}'
        ),
        (
            TEXT
            + '{"index":0,"text":" two",'
            + '"logprobs":null,"finish_reason":"length","matched_stop":null}],"usage":null}'
        ),
        (TEXT + "]," + '"usage":{"prompt_tokens":77,"total_tokens":79,"completion_tokens":2,"reasoning_tokens":0}}'),
    ],
}


def parsed(case: str, reason: str = "length") -> ParsedRequest:
    usage = "without" not in case
    return ParsedRequest(
        endpoint="generate" if "generate" in case else "chat" if "chat" in case else "completions",
        model="tiny-llama",
        prompt=[1] * 77,
        output_tokens=2,
        finish_reason=reason,
        stream=True,
        usage=usage,
        usage_always=usage and "every" in case,
        seed=0,
    )


def writer_for(engine: str, request: ParsedRequest) -> VllmAnswer | SglangAnswer:
    return VllmAnswer(request) if engine == "vllm" else SglangAnswer(request)


@pytest.mark.parametrize(("engine", "case"), CAPTURED, ids=" ".join)
def test_a_stream_is_the_captured_one(engine: str, case: str) -> None:
    writer = writer_for(engine, parsed(case))
    written = (
        writer.first() + writer.token(" two", 1, last=False) + writer.token(" two", 2, last=True) + writer.end(2)
    )
    assert written.endswith(DONE)
    lines = written.removesuffix(DONE).decode().replace("data: ", "").split("\n\n")[:-1]
    same = [re.sub(r'"id":"[^"]+"', '"id":"ID"', re.sub(r'"created":\d+', '"created":0', line)) for line in lines]
    assert same == CAPTURED[engine, case]


def test_a_model_that_ended_names_its_end_token_on_sglang() -> None:
    finish = SglangAnswer(parsed("chat", "stop")).end(2).split(b"\n\n")[0].removeprefix(b"data: ")
    choice: dict[str, Any] = json.loads(finish)["choices"][0]
    assert (choice["finish_reason"], choice["matched_stop"]) == ("stop", 2)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("case", ["chat", "completions"])
def test_a_plain_answer_has_text_reason_and_usage(engine: str, case: str) -> None:
    whole = writer_for(engine, parsed(case)).whole(" one two", 2)
    assert whole["object"] == ("chat.completion" if case == "chat" else "text_completion")
    choice = whole["choices"][0]
    assert (choice["message"]["content"] if case == "chat" else choice["text"]) == " one two"
    assert choice["finish_reason"] == "length"
    assert whole["usage"]["completion_tokens"] == 2


def test_generate_is_answered_with_the_fields_of_the_captured_one_less_its_times() -> None:
    captured = (TRANSCRIPTS / "sglang-generate.sse").read_bytes().split(b"\n\n")
    writer = GenerateAnswer(parsed("generate"))
    written = writer.token(" kavoti", 1, last=False) + writer.token(" nasilu", 2, last=True) + writer.end(2)
    lines = written.split(b"\n\n")
    for line, real in zip(lines, (captured[1], captured[23], captured[24]), strict=False):
        if line.endswith(b"[DONE]"):
            assert line == real
            continue
        event, expected = (json.loads(text.removeprefix(b"data: ")) for text in (line, real))
        assert list(event) == list(expected)
        assert event["meta_info"].keys() <= expected["meta_info"].keys()
        omitted = re.compile("time|_ts$|wait|latency|throughput|weight_versions")
        assert not [
            key for key in expected["meta_info"].keys() - event["meta_info"].keys() if not omitted.search(key)
        ]
    last = json.loads(lines[1].removeprefix(b"data: "))
    assert last["text"] == " kavoti nasilu"
    assert len(last["output_ids"]) == last["meta_info"]["completion_tokens"] == 2
    assert last["meta_info"]["finish_reason"] == {"type": "length", "length": 2}
