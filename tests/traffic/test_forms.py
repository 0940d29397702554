"""Each form is recognised by its first record and read as the same conversations; what cannot be sent is counted."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from tui.model.text import UserError
from tui.traffic.forms import FORM
from tui.traffic.index import ENTRY, Index, make_index, parsed
from tui.traffic.records import open_file, read_span
from tui.traffic.row import Conversation


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


CHAT = [
    {"from": "system", "value": "Be brief."},
    {"from": "human", "value": "Name a colour."},
    {"from": "gpt", "value": "Blue."},
    {"from": "human", "value": "Another?"},
    {"from": "gpt", "value": "Red, which is warmer than blue."},
]
AGENT = [
    {
        "conversation_id": "c1",
        "turn": 1,
        "role": "user",
        "content": "Fix it.",
        "system": "You fix.",
        "tools": [{"a": 1}],
    },
    {
        "conversation_id": "c1",
        "turn": 2,
        "role": "assistant",
        "reasoning_content": "Look.",
        "tool_calls": [{"id": "t"}],
    },
    {
        "conversation_id": "c1",
        "turn": 3,
        "role": "tool",
        "tool_results": [{"tool_call_id": "t", "content": "ok"}],
        "delay_seconds": 0.25,
    },
    {"conversation_id": "c1", "turn": 4, "role": "assistant", "content": "Done."},
    {"conversation_id": "c2", "turn": 1, "role": "user", "content": "Hello"},
]
# name: text, form, conversations, requests
EXAMPLES: dict[str, tuple[str, str, int, int]] = {
    "mooncake": (
        lines(
            {"timestamp": 0, "input_length": 1100, "output_length": 9, "hash_ids": [0, 1, 2]},
            {"timestamp": 3000, "input_length": 20, "output_length": 5, "hash_ids": [0]},
        ),
        "mooncake",
        2,
        2,
    ),
    "mooncake with texts": (
        lines({"timestamp": 0, "text_input": "hi", "input_length": 1, "output_length": 2}),
        "mooncake",
        1,
        1,
    ),
    "bailian": (
        lines(
            {
                "chat_id": 159,
                "parent_chat_id": -1,
                "timestamp": 61.114,
                "input_length": 30,
                "output_length": 2,
                "type": "text",
                "turn": 1,
                "hash_ids": [1089, 1090],
            }
        ),
        "bailian",
        1,
        1,
    ),
    "burstgpt 1": (
        (
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
            "5,ChatGPT,472,18,490,Conversation log\n"
            "6,ChatGPT,100,0,100,API log\n"
        ),
        "burstgpt",
        1,
        1,
    ),
    "burstgpt 3": (
        (
            "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
            "19440110.0,1722ac82,43,GPT-4,906,446,1352,Conversation log\n19440112.5,,1,GPT-4,6,4,10,API log\n"
        ),
        "burstgpt",
        2,
        2,
    ),
    "azure 2023": (
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n"
            "2023-11-16 18:17:04.0319600,3180,8\n"
        ),
        "azure",
        2,
        2,
    ),
    "azure 2024": (
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n"
            "2024-05-12 00:00:00+00:00,12,3\n"
        ),
        "azure",
        2,
        2,
    ),
    "sharegpt array": (
        json.dumps([{"id": "x", "conversations": CHAT}, {"id": "y", "conversations": []}]),
        "sharegpt",
        1,
        2,
    ),
    "sharegpt lines": (lines({"id": "x", "conversations": CHAT}), "sharegpt", 1, 2),
    "endpoints": (lines(*AGENT), "endpoints", 2, 3),
    "bodies": (
        lines({"messages": [{"role": "user", "content": "2+2?"}], "tools": [{"type": "function"}], "subset": "x"}),
        "bodies",
        1,
        1,
    ),
    "timed bodies": (
        lines({"timestamp": "2026-01-01T00:00:00Z", "body": {"messages": [{"role": "user", "content": "hi"}]}}),
        "timed-bodies",
        1,
        1,
    ),
    "multi-turn": (
        lines({"session_id": "s1", "turns": [{"text": "Hi"}, {"text": "And?", "delay": 1500}]}),
        "multi-turn",
        1,
        2,
    ),
    "inputs-json": (
        json.dumps({"data": [{"session_id": "s", "payloads": [{"messages": [{"role": "user", "content": "hi"}]}]}]}),
        "inputs-json",
        1,
        1,
    ),
    "token-trace": (lines({"input_tokens": [5, 6, 7], "num_output_tokens": 4, "ts": 0.5}), "token-trace", 1, 1),
    "prompts": (lines({"prompt": "Say it.", "output_length": 12}, {"prompt": "Again."}), "prompts", 2, 2),
    "single-turn": (lines({"text": "What?", "output_length": 64, "timestamp": 1500}), "prompts", 1, 1),
    "numbered": (
        lines({"prompt_0": "a", "output_tokens_count_0": 3, "prompt_1": "b", "output_tokens_count_1": 4}),
        "prompts",
        1,
        2,
    ),
    "columns": ('question,answer,output_tokens_count\n"a, ""b""\nc?",x,7\nd?,y,8\n', "columns", 2, 2),
    "one column": ("prompt\nWhat is it?\n", "columns", 1, 1),
    "texts": ("What is it\nand what not\n", "lines", 2, 2),
}


def index_of(
    folder: Path, text: str | bytes, form: str = "", *, volleys: bool = False, max_gap_s: float = 60.0
) -> Index:
    path = folder / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return make_index(path, form, volleys=volleys, max_gap_s=max_gap_s, folder=folder)


def conversations_of(index: Index) -> list[Conversation]:
    entries = [
        ENTRY.unpack_from(Path(index.index_path).read_bytes(), at * ENTRY.size) for at in range(index.conversations)
    ]
    with open_file(Path(index.path)) as file:
        return [parsed(read_span(file.fileno(), entry[:2]), index.layout, FORM[index.form]) for entry in entries]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_form_is_recognised_by_the_first_record(name: str, tmp_path: Path) -> None:
    text, form, conversations, requests = EXAMPLES[name]
    index = index_of(tmp_path, text)
    assert (index.form, index.conversations, index.requests) == (form, conversations, requests)
    assert sum(len(each.turns) for each in conversations_of(index)) == requests
    with_bom = index_of(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert (with_bom.form, with_bom.requests) == (form, requests)


def test_every_form_has_an_example() -> None:
    assert {form for _, form, _, _ in EXAMPLES.values()} == set(FORM)


def test_a_conversation_is_sent_with_the_history_as_recorded(tmp_path: Path) -> None:
    (talk,) = conversations_of(index_of(tmp_path, EXAMPLES["sharegpt array"][0]))
    assert [turn.messages for turn in talk.turns] == [2, 4]
    assert [message["role"] for message in talk.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert talk.turns[1].output_tokens == round(len(CHAT[4]["value"]) / 4)
    first, _ = conversations_of(index_of(tmp_path, EXAMPLES["endpoints"][0]))
    assert [turn.messages for turn in first.turns] == [2, 4]
    assert [turn.delay_s for turn in first.turns] == [0, 0.25]
    assert first.messages[2]["tool_calls"] == [{"id": "t"}]
    assert first.messages[3] == {"role": "tool", "tool_call_id": "t", "content": "ok"}
    assert first.fields == {"tools": [{"a": 1}]}


def test_a_body_is_sent_with_its_tools_and_without_notes_about_it(tmp_path: Path) -> None:
    (body,) = conversations_of(index_of(tmp_path, EXAMPLES["bodies"][0]))
    assert body.fields == {"tools": [{"type": "function"}]}


def test_text_in_quotes_keeps_its_line_ends(tmp_path: Path) -> None:
    first, second = conversations_of(index_of(tmp_path, EXAMPLES["columns"][0]))
    assert first.turns[0].text == 'a, "b"\nc?'
    assert (first.turns[0].output_tokens, second.turns[0].output_tokens) == (7, 8)


def due_of(index: Index) -> list[float]:
    data = Path(index.index_path).read_bytes()
    return [round(ENTRY.unpack_from(data, at * ENTRY.size)[3], 6) for at in range(index.conversations)]


def trace(*stamps_ms: int) -> str:
    return lines(
        *({"timestamp": stamp, "input_length": 8, "output_length": 2, "hash_ids": [1]} for stamp in stamps_ms)
    )


def test_rows_that_share_a_stamp_are_spread_until_the_next_one_unless_volleys_are_asked_for(tmp_path: Path) -> None:
    index = index_of(tmp_path, trace(5000, 5000, 5000, 8000, 11_000, 11_000))
    assert due_of(index) == [0, 1, 2, 3, 6, 7.5]
    assert index.shared_stamps == 3
    assert "3 rows share a stamp" in index.sentence
    volleys = index_of(tmp_path, trace(5000, 5000, 5000, 8000, 11_000, 11_000), volleys=True)
    assert due_of(volleys) == [0, 0, 0, 3, 6, 6]


def test_long_pauses_are_cut_and_stamps_out_of_order_are_due_at_once(tmp_path: Path) -> None:
    index = index_of(tmp_path, trace(0, 2000, 1000, 302_000), volleys=True)
    assert due_of(index) == [0, 2, 2, 62]
    assert (index.gaps_cut, index.cut_s, index.unsorted, index.duration_s) == (1, 240, 1, 62)
    assert "1 pauses were cut, 240 s in all" in index.sentence


BAD_ROWS: dict[str, tuple[str, str]] = {
    "no JSON": ("{oops\n", "not JSON"),
    "no object": ("[1, 2]\n", "not a JSON object"),
    "half a surrogate pair": ('{"prompt": "\\ud800 x"}\n', "not JSON"),
    "negative": (lines({"prompt": "x", "output_length": -4}), "length below 0 or absurd"),
    "absurd": (lines({"prompt": "x", "output_length": 1e300}), "length below 0 or absurd"),
    "no number": (lines({"prompt": "x", "output_length": "many"}), "length is no number"),
    "no text": (lines({"prompt": {"a": 1}}), "no text"),
    "nested too deep": ('{"prompt": ' + "[" * 500_000 + "]" * 500_000 + "}\n", "not JSON"),
    "no prompt": (lines({"output_length": 3}), "no prompt"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_row_that_cannot_be_sent_is_counted_with_the_reason(name: str, tmp_path: Path) -> None:
    row, why = BAD_ROWS[name]
    index = index_of(tmp_path, lines({"prompt": "good"}) + row + lines({"prompt": "good too"}))
    assert index.conversations == 2
    assert index.skipped == {why: 1}


def test_texts_with_escape_codes_are_kept_as_they_are(tmp_path: Path) -> None:
    (row,) = conversations_of(index_of(tmp_path, lines({"prompt": "\x1b[31mred\u202e"})))
    assert row.turns[0].text == "\x1b[31mred\u202e"


def test_an_array_that_is_cut_off_gives_its_whole_objects_and_says_what_was_lost(tmp_path: Path) -> None:
    whole = json.dumps([{"id": str(n), "conversations": CHAT} for n in range(5)])
    cut = whole[:-90]
    index = index_of(tmp_path, cut)
    assert index.conversations == 4
    assert index.lost_bytes == len(cut) - cut.rindex("}]}") - 3
    assert "cut off" in index.sentence
    assert index_of(tmp_path, whole).lost_bytes == 0


def test_objects_are_cut_out_of_an_array_at_any_border_of_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(3)
    texts = ["".join(rng.choices('ab"\\{}[]\n ', k=rng.randrange(40))) for _ in range(200)]
    text = json.dumps([{"prompt": "x" + text} for text in texts], indent=1)
    for step in (64, 65, 100, 1000):
        monkeypatch.setattr("tui.traffic.records.CHUNK_BYTES", step)
        index = index_of(tmp_path, text, "prompts")
        assert [each.turns[0].text for each in conversations_of(index)] == ["x" + each for each in texts]


REFUSED: dict[str, tuple[bytes, str]] = {
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 5\n", "Git LFS pointer"),
    "gzip": (b"\x1f\x8b\x08rest", "gunzip"),
    "Parquet": (b"PAR1rest", "Parquet"),
    "empty": (b"", "is empty"),
    "blank": (b" \n\n", "is empty"),
    "unknown form": (lines({"colour": "red", "size": 3}).encode(), "has the fields colour, size"),
    "known, not read": (lines({"spans": []}).encode(), "OpenTelemetry spans"),
    "nothing to send": (lines({"prompt": ""}, {"prompt": ""}).encode(), "2 × no prompt"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_played_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    data, words = REFUSED[name]
    with pytest.raises(UserError, match=words) as refused:
        index_of(tmp_path, data)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("*.index"))


def test_a_pipe_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, words in ((pipe, "save it to a file"), (tmp_path, "a folder"), (tmp_path / "no", "No such file")):
        with pytest.raises(UserError, match=words):
            make_index(path)


def test_a_line_without_an_end_is_counted_and_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.traffic.records.MAX_RECORD_BYTES", 1 << 12)
    monkeypatch.setattr("tui.traffic.records.CHUNK_BYTES", 1 << 10)
    index = index_of(
        tmp_path, lines({"prompt": "a"}) + '{"prompt": "' + "x" * (1 << 15) + '"}\n' + lines({"prompt": "b"})
    )
    assert index.conversations == 2
    assert [why for why in index.skipped if "on one line" in why]


def test_a_form_that_is_named_goes_before_what_the_record_looks_like(tmp_path: Path) -> None:
    assert index_of(tmp_path, lines({"prompt": "x", "messages": []}), "prompts").form == "prompts"
    with pytest.raises(UserError, match="there is no such form"):
        index_of(tmp_path, lines({"prompt": "x"}), "mooncacke")
    with pytest.raises(UserError, match="is JSON"):
        index_of(tmp_path, lines({"prompt": "x"}), "azure")
