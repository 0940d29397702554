"""Tokens, not chunks: real transcripts of every engine at hand, cut at every byte."""

import json
from pathlib import Path

import pytest

from tui.model.profile import PATHS, Endpoint
from tui.net.sse import MAX_LINE_BYTES, BadEventsError, EventReader

TRANSCRIPTS = Path(__file__).parent / "transcripts"


def events_of(raw: bytes) -> list[dict[str, object]]:
    lines = [line for line in raw.decode("utf-8", "replace").split("\n") if line.startswith("data: {")]
    return [json.loads(line[6:]) for line in lines]


def read(raw: bytes, cuts: list[int], endpoint: Endpoint = "chat") -> tuple[EventReader, int]:
    reader, tokens = EventReader(endpoint), 0
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        reader.feed(raw[start:end])
        tokens += reader.tokens
    return reader, tokens


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.glob("*.sse")), ids=lambda path: path.stem)
def test_a_transcript_says_the_same_wherever_it_is_cut(path: Path) -> None:
    raw = path.read_bytes()
    endpoint: Endpoint = next((name for name in PATHS if name in path.stem), "completions")
    whole, tokens = read(raw, [], endpoint)
    assert whole.has_usage
    assert not whole.error
    usages = [usage for event in events_of(raw) if (usage := event.get("usage") or event.get("meta_info"))]
    last = usages[-1]
    assert isinstance(last, dict)
    assert whole.completion_tokens == last["completion_tokens"]
    assert whole.prompt_tokens == last["prompt_tokens"]
    assert whole.finish_reason == "length"
    continuous = len(usages) > 2
    assert tokens == whole.completion_tokens or not continuous
    seen = (whole.completion_tokens, whole.chunks, whole.k_first, whole.finish_reason, whole.done, tokens)
    for place in range(1, len(raw)):
        cut, cut_tokens = read(raw, [place], endpoint)
        assert (cut.completion_tokens, cut.chunks, cut.k_first, cut.finish_reason, cut.done, cut_tokens) == seen, (
            place
        )


def test_byte_by_byte_is_the_same() -> None:
    raw = (TRANSCRIPTS / "vllm-chat-c1.sse").read_bytes()
    assert read(raw, list(range(1, len(raw))))[1] == read(raw, [])[1]


def event(**delta: object) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': None}]})}\n\n".encode()


def test_a_role_and_an_empty_delta_are_no_output() -> None:
    reader, tokens = read(event(role="assistant", content="") + event(content="") + event(), [])
    assert (tokens, reader.chunks) == (0, 0)


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"reasoning": "x"},
        {"reasoning_content": "x"},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {"refusal": "no"},
    ],
)
def test_text_reasoning_tool_calls_and_refusals_are_output(delta: dict[str, object]) -> None:
    reader, tokens = read(event(**delta), [])
    assert (tokens, reader.chunks, reader.k_first) == (1, 1, 1)


def test_blocks_of_many_ordinary_events_are_counted() -> None:
    many = b"".join(event(content=f"w{n}") for n in range(500))
    compact = many.replace(b'": ', b'":').replace(b", ", b",")
    for raw in (many, compact):
        reader, tokens = read(event(role="assistant", content="") + raw + b"data: [DONE]\n\n", [])
        assert (tokens, reader.chunks, reader.done) == (500, 500, True)


def generated(text: str, tokens: int, reason: object = None) -> bytes:
    about = {"finish_reason": reason, "prompt_tokens": 5, "completion_tokens": tokens, "cached_tokens": 3}
    return f"data: {json.dumps({'text': text, 'output_ids': [], 'meta_info': about})}\n\n".encode()


def test_events_of_generate_hold_the_whole_answer_and_its_counts() -> None:
    raw = b"".join(generated("w" * n, n) for n in range(1, 500)) + generated("w" * 502, 502, {"type": "length"})
    for block in (raw, raw.replace(b'": ', b'":').replace(b", ", b",")):
        reader, tokens = read(block + b"data: [DONE]\n\n", [], "generate")
        assert (tokens, reader.chunks, reader.k_first, reader.finish_reason) == (502, 500, 1, "length")
        assert (reader.prompt_tokens, reader.cached_tokens, reader.usage_each, reader.done) == (5, 3, True, True)


def test_an_answer_of_generate_that_shows_no_text_yet_brings_its_tokens_later() -> None:
    reader, tokens = read(generated("", 1) + generated("", 2) + generated("é", 3), [], "generate")
    assert (tokens, reader.chunks, reader.k_first) == (3, 1, 3)


def test_keys_inside_text_are_text() -> None:
    sly = 'say "content":"x" and data: {"choices"} \n\n [DONE]'
    reader, tokens = read(event(content="a") + event(content=sly) * 20, [])
    assert (tokens, reader.chunks, reader.done) == (21, 21, False)


def test_an_error_object_is_reported_even_before_the_end_mark() -> None:
    for error in ({"message": "it\x1b[31m died", "code": 500}, "it died"):
        raw = event(content="a") + f"data: {json.dumps({'error': error})}\n\n".encode() + b"data: [DONE]\n\n"
        reader, _ = read(raw, [])
        assert reader.error == "it died"
        assert reader.done


def test_invalid_utf8_and_crlf_and_comments_are_borne() -> None:
    raw = b": keep-alive\r\n\r\n" + event(content="a").replace(b"\n", b"\r\n") + b'data: {"choices":[{"delta":'
    raw += b'{"content":"\xff\xfe"}}]}\r\n\r\n'
    reader, tokens = read(raw, [])
    assert (tokens, reader.chunks) == (2, 2)


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    reader = EventReader("chat")
    with pytest.raises(BadEventsError, match="more than 8 MB"):
        for _ in range(MAX_LINE_BYTES // (1 << 20) + 2):
            reader.feed(b"data: " + b"x" * (1 << 20))


def test_an_event_that_is_not_json_is_refused() -> None:
    with pytest.raises(BadEventsError, match="not JSON"):
        read(b"data: {oops\n\n", [])


@pytest.mark.parametrize("key", ["content", "reasoning", "reasoning_content"])
@pytest.mark.parametrize("colon", [":", ": "])
def test_many_events_are_counted_whatever_key_and_spacing_carry_the_output(key: str, colon: str) -> None:
    def styled(**choice: object) -> bytes:
        payload = {"choices": [{"index": 0, "finish_reason": None} | choice]}
        return f"data: {json.dumps(payload, separators=(',', colon))}\n\n".encode()

    role = styled(delta={"role": "assistant", "content": "", key: ""})
    many = [styled(delta={key: f"w{number}"}) for number in range(60)]
    empty = styled(delta={key: ""})
    last = styled(delta={key: "end"}, finish_reason="length")
    raw = b"".join([role, *many, empty, *many, last])
    for cuts in ([], [len(raw) // 2], list(range(700, len(raw), 700))):
        reader, tokens = read(raw, cuts)
        assert (tokens, reader.chunks, reader.finish_reason) == (121, 121, "length")


@pytest.mark.parametrize("choices", [5, True, "text", {"text": "a"}, [5]])
def test_choices_of_another_kind_are_no_output(choices: object) -> None:
    block = f"data: {json.dumps({'choices': choices})}\n\n".encode()
    assert read(block, [], "completions")[1] == 0


@pytest.mark.parametrize("count", [b"-1", b"true", b"1e9", b"1099511627776"])
def test_a_count_that_cannot_be_true_is_no_usage(count: bytes) -> None:
    usage = b'"usage":{"prompt_tokens":%s,"completion_tokens":%s}' % (count, count)
    reader, tokens = read(b'data: {"choices":[{"text":"a"}],%s}\n\n' % usage, [], "completions")
    assert (tokens, reader.prompt_tokens, reader.has_usage) == (1, None, False)


@pytest.mark.parametrize("digits", [12, 5000])
def test_a_nonsense_count_among_ordinary_events_is_made_up_for_by_the_next(digits: int) -> None:
    one = b'data: {"choices":[{"text":"a"}],"usage":{"completion_tokens":%s}}\n\n'
    parts = [one % b"1", one % b"2" + one % (b"1" * digits), one % b"4"]
    cuts = [len(parts[0]), len(parts[0] + parts[1])]
    reader, tokens = read(b"".join(parts), cuts, "completions")
    assert (tokens, reader.completion_tokens, reader.chunks) == (4, 4, 4)


@pytest.mark.parametrize("start", [b"", b'["\xff",'])
def test_deep_nesting_is_a_broken_answer(start: bytes) -> None:
    with pytest.raises(BadEventsError, match="too deep"):
        read(b"data: " + start + b"[" * 100_000 + b"\n\n", [], "completions")


def test_an_error_that_is_null_is_none() -> None:
    reader, tokens = read(b'data: {"error":null,"choices":[{"text":"a"}]}\n\n', [], "completions")
    assert (tokens, reader.error) == (1, "")


def events(usages: list[int | None], last: dict[str, object]) -> bytes:
    rows = [
        {"choices": [{"text": " word", "finish_reason": None}]}
        | ({"usage": {"prompt_tokens": 5, "completion_tokens": n}} if n else {})
        for n in usages
    ]
    return b"".join(b"data: %s\n\n" % json.dumps(row).encode() for row in [*rows, last]) + b"data: [DONE]\n\n"


def end(tokens: int) -> dict[str, object]:
    return {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": tokens}}


def test_a_count_with_each_chunk_is_distinguished_from_one_at_the_end() -> None:
    each, once, never = (EventReader("completions") for _ in range(3))
    each.feed(events([1, 3, 4], end(4)))
    once.feed(events([None, None, None], end(4)))
    never.feed(events([None, None, None], {"choices": [{"text": "", "finish_reason": "stop"}]}))
    assert (each.usage_each, each.tokens, each.completion_tokens) == (True, 4, 4)
    assert (once.usage_each, once.has_usage, once.tokens, once.completion_tokens) == (False, True, 3, 4)
    assert (never.usage_each, never.has_usage, never.tokens) == (False, False, 3)


def test_usage_inside_the_finishing_chunk_counts_no_token_twice() -> None:
    raw = (TRANSCRIPTS / "transformers-chat-c1.sse").read_bytes()
    reader, tokens = EventReader("chat"), 0
    for event in raw.split(b"\n\n"):
        reader.feed(event + b"\n\n")
        tokens += reader.tokens
    assert (tokens, reader.completion_tokens, reader.usage_each) == (8, 8, False)
