"""Forms that hold arrivals and lengths, and no text: Mooncake, Bailian, BurstGPT, Azure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tui.traffic.chats import checked_messages, clock_time, message_bytes, read_prompt
from tui.traffic.row import Conversation, RowError, Turn, estimated_tokens, length, seconds

Record = Mapping[str, Any]

MOONCAKE_BLOCK: Final = 512  # tokens
BAILIAN_BLOCK: Final = 16


def read_mooncake(record: Record) -> Conversation:
    """`{"timestamp": ms, "input_length": n, "output_length": n, "hash_ids": […]}`, or AIPerf's rows with a text."""
    due_s = seconds(record.get("timestamp"), 1e-3)
    answer = length(record, "output_length")
    if record.get("text_input"):
        turn = msgspec.structs.replace(read_prompt({"prompt": record["text_input"]}).turns[0], output_tokens=answer)
        return Conversation(turns=[turn], due_s=due_s)
    if record.get("messages"):
        messages = checked_messages(record["messages"])
        tokens = estimated_tokens(message_bytes(messages))
        turn = Turn(messages=len(messages), prompt_tokens=tokens, output_tokens=answer)
        return Conversation(turns=[turn], due_s=due_s, messages=messages)
    return _blocks(record, due_s, MOONCAKE_BLOCK, str(record.get("session_id") or ""))


def read_bailian(record: Record) -> Conversation:
    """`{"chat_id": …, "parent_chat_id": …, "timestamp": s, "input_length": n, …, "hash_ids": […]}`."""
    return _blocks(record, seconds(record.get("timestamp")), BAILIAN_BLOCK, str(record.get("chat_id", "")))


def _blocks(record: Record, due_s: float | None, block_tokens: int, name: str) -> Conversation:
    tokens = _positive(length(record, "input_length"))
    blocks = record.get("hash_ids") or []
    if not isinstance(blocks, list) or not all(type(block) is int for block in blocks):
        raise RowError("hash_ids are no numbers")
    needed = -(-tokens // block_tokens)  # further ids would stand for tokens that the prompt does not have
    turn = Turn(
        blocks=blocks[:needed], prompt_tokens=tokens, output_tokens=_positive(length(record, "output_length"))
    )
    return Conversation(turns=[turn], due_s=due_s, name=name, block_tokens=block_tokens)


def read_burstgpt(record: Record) -> Conversation:
    """A row of BurstGPT, by the names of its columns. Rows without a response are requests that failed there."""
    answer = length(record, "Response tokens")
    if not answer:
        raise RowError("failed when it was recorded")
    turn = Turn(prompt_tokens=_positive(length(record, "Request tokens")), output_tokens=answer)
    return Conversation(turns=[turn], due_s=seconds(record.get("Timestamp")), name=record.get("Session ID") or "")


def read_azure(record: Record) -> Conversation:
    """A row of Azure's traces of 2023 and 2024: stamps have 7, 6 or no digits of a second, and a zone or none."""
    turn = Turn(
        prompt_tokens=_positive(length(record, "ContextTokens")),
        output_tokens=_positive(length(record, "GeneratedTokens")),
    )
    return Conversation(turns=[turn], due_s=clock_time(record.get("TIMESTAMP")))


def _positive(tokens: int) -> int:
    if tokens <= 0:
        raise RowError("length is 0 or missing")
    return tokens
