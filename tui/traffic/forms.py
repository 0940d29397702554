"""The forms of traffic files: how each is recognised by its first record, and the sentence for those that are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tui.model.text import UserError, sanitize
from tui.traffic import chats, traces
from tui.traffic.row import Conversation

Record = Mapping[str, Any]
Container = Literal["json", "csv", "text"]  # json: a record a line, or an array of them


@dataclass(frozen=True, slots=True)
class Form:
    """One form: its records, and what a record is read as."""

    name: str
    title: str
    matches: Callable[[Record], bool]
    read: Callable[[Record], Conversation] | None = None
    read_group: Callable[[Sequence[Record]], Conversation] | None = None  # of records that follow each other
    group_by: str = ""  # the field that is equal in records of one conversation
    container: Container = "json"
    chat: bool = False  # it holds messages, which only a chat endpoint takes


def _has(*names: str) -> Callable[[Record], bool]:
    return lambda record: all(name in record for name in names)


def _is_sharegpt(record: Record) -> bool:
    return "conversations" in record or "conversation" in record


def _is_prompt(record: Record) -> bool:
    return any(name in record or f"{name}_0" in record or f"{name}-0" in record for name in chats.PROMPT_NAMES)


_AZURE: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_BURSTGPT: Final = ("Timestamp", "Request tokens", "Response tokens")

# The first that matches: those with more particular names go before those with fewer.
FORMS: Final = (
    Form("bailian", "Bailian trace", _has("chat_id", "parent_chat_id", "input_length"), traces.read_bailian),
    Form("mooncake", "Mooncake trace", _has("timestamp", "input_length"), traces.read_mooncake),
    Form("burstgpt", "BurstGPT trace", _has(*_BURSTGPT), traces.read_burstgpt, container="csv"),
    Form("azure", "Azure LLM inference trace", _has(*_AZURE), traces.read_azure, container="csv"),
    Form("token-trace", "SGLang token_trace", _has("input_tokens"), chats.read_ids),
    Form(
        "endpoints",
        "MLPerf Endpoints conversations",
        _has("conversation_id", "turn", "role"),
        read_group=chats.read_agent,
        group_by="conversation_id",
        chat=True,
    ),
    Form("timed-bodies", "bodies with times", _has("timestamp", "body"), chats.read_timed_body, chat=True),
    Form("bodies", "request bodies with messages", _has("messages"), chats.read_body, chat=True),
    Form("multi-turn", "AIPerf multi_turn", _has("turns"), chats.read_user_turns, chat=True),
    Form("inputs-json", "AIPerf inputs_json", _has("payloads"), chats.read_payloads, chat=True),
    Form("sharegpt", "ShareGPT conversations", _is_sharegpt, chats.read_sharegpt, chat=True),
    Form("prompts", "prompts", _is_prompt, chats.read_prompt),
    Form("columns", "prompts in columns", _is_prompt, chats.read_prompt, container="csv"),
    Form("lines", "a prompt a line", lambda _: False, chats.read_prompt, container="text"),
)
FORM: Final = {form.name: form for form in FORMS}

# Forms that other tools play and this one does not, by the fields that give them away.
_UNREAD: Final[Mapping[str, tuple[str, ...]]] = {
    "OpenTelemetry spans": ("spans",),
    "AIPerf's dag_jsonl": ("forks",),
    "AIPerf's weka": ("requests",),
    "AIPerf's tracelab": ("prefix_tokens", "newly_append_tokens"),
    "SageMaker's data capture": ("captureData",),
    "SGLang's agentic-trace": ("metadata", "conversations"),
    "vLLM's custom_image": ("image_files",),
    "vLLM's custom_audio": ("audio",),
}


def recognise(record: Record, container: Container, where: str) -> Form:
    """The form of a file by its first record. UserError with the fields it has when there is none."""
    for title, names in _UNREAD.items():
        if all(name in record for name in names):
            raise UserError(f"{where} looks like {title}: that form is known, and dragstrip does not read it")
    for form in FORMS:
        if form.container == container and form.matches(record):
            return form
    present = ", ".join(sanitize(name, 40) for name in list(record)[:12]) or "none"
    raise UserError(
        f"{where} has no form that dragstrip reads: its first record has the fields {present}; "
        f"name the form with --data-form: {', '.join(FORM)}"
    )


def named_form(name: str) -> Form:
    """The form of that name. UserError when there is none."""
    if name not in FORM:
        raise UserError(f"--data-form {sanitize(name, 40)}: there is no such form; there are {', '.join(FORM)}")
    return FORM[name]
