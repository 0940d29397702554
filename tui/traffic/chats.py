"""Forms that hold what is sent: prompts, messages, whole bodies, conversations. One function reads a record each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tui.traffic.row import Conversation, RowError, Turn, estimated_tokens, length, seconds, sent_text

Record = Mapping[str, Any]
_NO_FIELDS: Final[Record] = {}
_NO_DELAYS: Final[Mapping[int, float]] = {}

# Fields of a body that the load does not decide. Others that stand in a row are notes about it, and some servers
# refuse a field they do not know.
FIELDS: Final = frozenset({
    *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format", "stop", "n"),
    *("top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias"),
    *("reasoning_effort", "chat_template_kwargs", "guided_json", "guided_regex", "guided_choice", "guided_grammar"),
    *("structured_outputs", "json_schema", "regex", "grammar", "ebnf", "user", "metadata", "lora_path"),
})  # fmt: skip
_ANSWER_LENGTHS: Final = (
    *("output_length", "max_completion_tokens", "max_tokens", "output_tokens", "output_len", "num_output_tokens"),
    *("output_tokens_count", "completion_tokens_count", "expected_output_len"),
)
_PROMPT_LENGTHS: Final = ("prompt_tokens_count", "input_tokens_count", "input_length", "prompt_len", "prompt_tokens")
_ROLES: Final = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "bing", "bard", "assistant"), "assistant"),
    **{role: role for role in ("system", "tool", "developer")},
}


def output_length(record: Record) -> int:
    return length(record, *_ANSWER_LENGTHS)


def body_fields(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name in FIELDS and value is not None}


def message_bytes(messages: Sequence[Any], fields: Record = _NO_FIELDS) -> int:
    """Bytes of what messages say, without the JSON around it, and of the tools that a template puts before them."""
    return sum(_text_bytes(message) for message in messages) + _text_bytes(fields.get("tools"))


def _text_bytes(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return sum(_text_bytes(inner) for name, inner in value.items() if name not in ("role", "type", "id"))
    return sum(_text_bytes(inner) for inner in value) if isinstance(value, list) else 0


def checked_messages(value: object) -> list[Any]:
    """Messages as a body takes them. RowError where they are none."""
    if not isinstance(value, list) or not value:
        raise RowError("no messages")
    if not all(isinstance(message, Mapping) and isinstance(message.get("role"), str) for message in value):
        raise RowError("a message without a role")
    return value


def read_body(record: Record) -> Conversation:
    """A body with `messages` and whatever else: SGLang's `openai` form, a raw payload, MLPerf's ready bodies."""
    messages = checked_messages(record.get("messages"))
    fields = body_fields(record)
    prompt = length(record, *_PROMPT_LENGTHS) or estimated_tokens(message_bytes(messages, fields))
    turn = Turn(
        messages=len(messages),
        prompt_tokens=prompt,
        output_tokens=output_length(record),
        delay_s=max(seconds(record.get("delay"), 1e-3) or 0.0, 0.0),
    )
    due_s = seconds(record.get("timestamp"), 1e-3)
    return Conversation(turns=[turn], due_s=due_s, messages=messages, fields=fields)


def read_timed_body(record: Record) -> Conversation:
    """`{"timestamp": s or ISO 8601, "body": {…}}`, EvalScope's trace of a workload."""
    body = record.get("body")
    if not isinstance(body, Mapping):
        raise RowError("body is no object")
    conversation = read_body(body) if "messages" in body else read_prompt(body)
    return msgspec.structs.replace(conversation, due_s=clock_time(record.get("timestamp")))


def read_prompt(record: Record) -> Conversation:
    """A text under the first of the usual names, with the lengths that stand beside it; also by columns of a CSV."""
    turns = list(_numbered_turns(record))
    if not turns:
        name = next((name for name in PROMPT_NAMES if record.get(name)), "")
        if not name:
            raise RowError("no prompt")
        turns = [_prompt_turn(record, name)]
    due_s = seconds(record.get("timestamp"), 1e-3)
    if due_s is None:
        due_s = seconds(record.get("relative_timestamp"))
    return Conversation(
        turns=turns, due_s=due_s, name=str(record.get("session_id") or ""), fields=body_fields(record)
    )


# The first that is there, as GuideLLM looks for it; AIPerf's `text` among them, MLPerf's `text_input` at the end.
PROMPT_NAMES: Final = (
    *("prompt", "instruction", "question", "input", "context", "content", "text", "text_input", "prompts"),
    *("instructions", "questions", "inputs", "contexts", "texts"),
)


def _prompt_turn(record: Record, name: str, suffix: str = "") -> Turn:
    value = record[name]
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        value = value[0]
    text = sent_text(value)
    prefix = next((record[key] for key in ("system_prompt", "system", "prefix") if record.get(key)), "")
    if isinstance(prefix, str) and prefix and not suffix:
        text = sent_text(prefix) + "\n\n" + text
    prompt = length(record, *(key + suffix for key in _PROMPT_LENGTHS))
    return Turn(
        text=text,
        prompt_tokens=prompt or estimated_tokens(len(text.encode())),
        output_tokens=length(record, *(key + suffix for key in _ANSWER_LENGTHS)),
        delay_s=max(seconds(record.get("delay"), 1e-3) or seconds(record.get("requeue_delay" + suffix)) or 0.0, 0.0),
    )


def _numbered_turns(record: Record) -> Iterator[Turn]:
    """`prompt_0, output_tokens_count_0, prompt_1 …`: the turns of one conversation in the columns of one row."""
    for separator in ("_", "-"):
        for number in range(len(record)):
            suffix = f"{separator}{number}"
            name = next((name + suffix for name in PROMPT_NAMES if record.get(name + suffix)), "")
            if not name:
                break
            yield _prompt_turn(record, name, suffix)


def read_sharegpt(record: Record) -> Conversation:
    """`{"conversations": [{"from": "human", "value": …}, {"from": "gpt", …}]}`: each human turn is a request.

    The length of the recorded answer is the length asked for. A list that is empty or begins with an answer has none.
    """
    said = record.get("conversations") or record.get("conversation")
    if not isinstance(said, list) or not said:
        raise RowError("no conversation")
    messages: list[Any] = []
    for part in said:
        if not isinstance(part, Mapping):
            raise RowError("a turn that is no object")
        role = _ROLES.get(str(part.get("from") or part.get("role")), "")
        if not role:
            raise RowError("a turn of nobody known")
        text = next((part[key] for key in ("value", "content", "text") if isinstance(part.get(key), str)), "")
        messages.append({"role": role, "content": text and sent_text(text)})
    return Conversation(turns=turns_of(messages), name=str(record.get("id") or ""), messages=messages)


def turns_of(
    messages: Sequence[Any], delays_s: Mapping[int, float] = _NO_DELAYS, fields: Record = _NO_FIELDS
) -> list[Turn]:
    """A request before each answer that follows a message of somebody else, and one at the end where none follows.

    `delays_s`: by the place of a message, how long after the answer before it came. RowError where there is none.
    """
    turns: list[Turn] = []
    heard, prompt_bytes, delay_s = False, message_bytes([], fields), 0.0
    for place, message in enumerate(messages):
        said = _text_bytes(message)
        if message["role"] == "assistant" and heard:
            turns.append(_turn(place, prompt_bytes, said, delay_s))
            delay_s, heard = 0.0, False
        elif message["role"] in ("user", "tool"):
            heard = True
            delay_s += delays_s.get(place, 0.0)
        prompt_bytes += said
    if heard:
        turns.append(_turn(len(messages), prompt_bytes, 0, delay_s))
    if not turns:
        raise RowError("no turn of a user")
    return turns


def _turn(messages: int, prompt_bytes: int, answer_bytes: int, delay_s: float) -> Turn:
    tokens = estimated_tokens(answer_bytes) if answer_bytes else 0
    return Turn(
        messages=messages,
        prompt_tokens=estimated_tokens(prompt_bytes),
        output_tokens=tokens,
        delay_s=max(delay_s, 0.0),
    )


def read_user_turns(record: Record) -> Conversation:
    """AIPerf's multi_turn: `{"session_id": …, "turns": [{"text": …, "delay": ms}]}`, the user's turns alone."""
    said = record.get("turns")
    if not isinstance(said, list) or not said:
        raise RowError("no turns")
    messages: list[Any] = []
    turns: list[Turn] = []
    prompt_bytes = 0
    for part in said:
        if not isinstance(part, Mapping):
            raise RowError("a turn that is no object")
        texts = part.get("texts")
        text = sent_text(part.get("text") or (texts[0] if isinstance(texts, list) and texts else None))
        messages.append({"role": str(part.get("role") or "user"), "content": text})
        prompt_bytes += len(text.encode())
        turns.append(
            Turn(
                messages=len(messages),
                prompt_tokens=estimated_tokens(prompt_bytes),
                output_tokens=output_length(part),
                delay_s=max(seconds(part.get("delay"), 1e-3) or 0.0, 0.0),
            )
        )
    name, due_s = str(record.get("session_id") or ""), seconds(said[0].get("timestamp"), 1e-3)
    return Conversation(turns=turns, name=name, due_s=due_s, messages=messages)


def read_payloads(record: Record) -> Conversation:
    """A session of AIPerf's inputs_json: `{"session_id": …, "payloads": [{body}, …]}`, each with all history."""
    payloads = record.get("payloads")
    bodies = [read_body(each) for each in payloads if isinstance(each, Mapping)] if isinstance(payloads, list) else []
    if not bodies:
        raise RowError("no payloads")
    longest = max(bodies, key=lambda body: len(body.messages))
    turns = [turn for body in bodies if _begins(longest.messages, body.messages) for turn in body.turns]
    name = str(record.get("session_id") or "")
    return Conversation(turns=turns, name=name, messages=longest.messages, fields=bodies[0].fields)


def _begins(messages: Sequence[Any], start: Sequence[Any]) -> bool:
    return list(messages[: len(start)]) == list(start)


def read_ids(record: Record) -> Conversation:
    """SGLang's token_trace: `{"input_tokens": [ids], "output_tokens": [ids] | "num_output_tokens": n, "ts": s}`."""
    ids = record.get("input_tokens")
    if not isinstance(ids, list) or not ids or not all(type(token) is int and token >= 0 for token in ids):
        raise RowError("input_tokens are no ids")
    answer = record.get("output_tokens")
    count = len(answer) if isinstance(answer, list) else length(record, "num_output_tokens")
    turn = Turn(ids=ids, prompt_tokens=len(ids), output_tokens=count)
    return Conversation(turns=[turn], due_s=seconds(record.get("ts")))


def read_agent(records: Sequence[Record]) -> Conversation:
    """MLPerf Endpoints: a row for each message, the assistant's reasoning and tool calls among them."""
    first = records[0]
    messages: list[Any] = []
    delays_s: dict[int, float] = {}
    if first.get("system"):
        messages.append({"role": "system", "content": sent_text(first["system"])})
    for record in records:
        delay_s = seconds(record.get("delay_seconds"))
        if delay_s is not None:
            delays_s[len(messages)] = max(delay_s, 0.0)
        messages += _agent_messages(record)
    fields = body_fields(first)
    turns = turns_of(messages, delays_s, fields)
    return Conversation(turns=turns, name=str(first.get("conversation_id") or ""), messages=messages, fields=fields)


def _agent_messages(record: Record) -> Iterator[dict[str, Any]]:
    role = record.get("role")
    results = record.get("tool_results")
    if role == "tool" and isinstance(results, list):
        for result in results:
            if isinstance(result, Mapping):
                yield {
                    "role": "tool",
                    "tool_call_id": str(result.get("tool_call_id") or ""),
                    "content": str(result.get("content") or ""),
                }
        return
    if role not in ("user", "assistant", "system", "tool"):
        raise RowError("a message of nobody known")
    message: dict[str, Any] = {"role": role, "content": record.get("content") or ""}
    for name in ("tool_calls", "reasoning_content"):
        if record.get(name):
            message[name] = record[name]
    yield message


def clock_time(value: object) -> float | None:
    """A number of seconds, or a date and time as ISO 8601 writes it, as seconds. RowError when it is neither."""
    if isinstance(value, str) and value:
        from datetime import UTC, datetime

        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return seconds(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return seconds(value)
