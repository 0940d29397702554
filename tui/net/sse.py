"""Server-sent events from body bytes: how many tokens they brought, and what the few that matter say.

A block of whole events is only counted when counting bytes proves that each event carries output; every other block
is decoded event by event. Inside a JSON string a quote is always escaped, so a key's bytes, quotes included, occur
only as that key. Which key carries the output, and whether a space follows the colon, is learnt from decoded events.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from tui.model.profile import Endpoint
from tui.model.text import sanitize
from tui.net.http import decode, error_in, error_message

MAX_LINE_BYTES = 8 << 20
MAX_TOKENS = 1 << 24  # no answer is so long: a larger count is nonsense, and would not fit into a recording
MAX_TOKEN_BYTES = 8  # on average over an answer; real text has 3 to 6
ANSWER_KEYS = ("content", "text", "refusal")  # text under any other key is reasoning
BLANK_LINE_BYTES = 2
MAX_DIGITS = 10  # of a count
END_MARK_BYTES = 24  # the end mark is at the end of a block or not in it
MIN_HALVING_BYTES = 800  # about three events
MAX_STRAY_BYTES = 2_000
# A delta's text is output under whatever key it comes, but for these; of its objects and lists only calls are.
NOT_OUTPUT = frozenset({
    "role", "id", "name", "type", "object", "model", "status", "phase", "index", "signature", "tool_call_id",
    "finish_reason", "stop_reason", "encrypted_content",
})  # fmt: skip
CALLS = ("tool_calls", "function_call")
NO_MESSAGE = "an error without a message"
_DATA = b"data: {"
_FINISH = b'"finish_reason"'
_COMPLETION_TOKENS = b'"completion_tokens":'
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIELDS = (b"data", b"event", b"id", b"retry", b"error", b"")  # of an event; a comment has no name
_decode = msgspec.json.Decoder().decode


class BadEventsError(ValueError):
    """Not an event stream: a line without end, or an event that is not JSON."""


@dataclass(slots=True)
class EventReader:
    """Reads one response's events. After each `feed`, `tokens` is the number of output tokens in that block."""

    endpoint: Endpoint
    count_empty_chunks: bool = False  # the server sends an event per step, even when the token shows no text
    tokens: int = 0  # of the last block
    chunks: int = 0  # events with output, total
    k_first: int = 0  # tokens in the first of them
    text_bytes: int = 0  # of the output; in blocks that are only counted, what an event's learnt frame leaves
    hidden_tokens: int = 0  # counted as reasoning, of which nothing was sent
    completion_tokens: int = 0  # by the server's usage, so far
    has_usage: bool = False
    usage_each: bool = False  # usage came with output, not only after it
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: str = ""
    done: bool = False  # the end mark has arrived
    error: str = ""  # the server's message, sanitized
    stray: bytes = b""  # the start of what came and is no event
    text: list[str] | None = None  # collects the output when it is a list
    _held: list[bytes] = field(default_factory=list)
    _held_bytes: int = 0
    _after_cr: bool = False  # the last block ended with a CR, to which a LF may belong
    _output_key: str = ""  # that the last output came under
    _frame_bytes: int = 0  # of the last decoded event with output: all but its text
    _text: int = 0  # bytes of output in the event being decoded
    _thinks: bool = False  # reasoning was sent
    _key: bytes = field(init=False)
    _empty: bytes = field(init=False)
    _finish: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._expect(b'"content"' if self.endpoint == "chat" else b'"text"', b':"')

    @property
    def counts_too_few(self) -> bool:
        """Whether the usage cannot be the count of this output: fewer tokens than chunks, and too long ones."""
        tokens = self.completion_tokens
        return 2 * tokens < self.chunks and self.text_bytes > MAX_TOKEN_BYTES * tokens

    def _expect(self, key: bytes, colon: bytes) -> None:
        self._key, self._empty = key + colon, key + colon + b'"'
        # In `generate` events the reason is an object.
        self._finish = _FINISH + (colon[:-1] + b"{" if self.endpoint == "generate" else colon)

    def _learn(self, event: bytes) -> None:
        """Expect the output key of this event, which has output under another key than expected."""
        key = b'"' + self._output_key.encode() + b'"'
        for colon in (b':"', b': "'):
            start = event.find(key + colon)
            if start >= 0 and not event.startswith(b'"', start + len(key + colon)):
                self._expect(key, colon)
                return

    def feed(self, data: bytes) -> None:
        """Raises BadEventsError."""
        self.tokens = 0
        if self._after_cr or b"\r" in data:
            data = self._with_line_feeds(data)
        if not self._held and data.endswith(b"\n\n"):
            self._read(data)
            return
        end = _end_of_events(data, self._held[-1][-1:] if self._held else b"")
        if not end:
            self._hold(data)
            return
        block = b"".join((*self._held, data[:end])) if self._held else data[:end]
        self._held.clear()
        self._held_bytes = 0
        if end < len(data):
            self._hold(data[end:])
        self._read(block)

    def end(self) -> None:
        """The body is complete, which ends the last event; its tokens are added. Raises BadEventsError."""
        rest = b"".join(self._held).strip(b"\n")
        self._held.clear()
        if rest:
            try:
                self._event(rest)
            except BadEventsError:
                if b"\ndata:" in rest:
                    raise
                # Cut within the event: what came before it says whether the answer is whole.

    def _with_line_feeds(self, data: bytes) -> bytes:
        """The same with each line end a LF; a CRLF may be divided between two blocks."""
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _hold(self, data: bytes) -> None:
        """Keep the start of an event until the rest arrives."""
        if not data:
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > MAX_LINE_BYTES:
            raise BadEventsError(f"an event of more than {MAX_LINE_BYTES >> 20} MB")

    def _read(self, block: bytes) -> None:
        """Read whole events; halving a block isolates the few to decode in a handful of steps."""
        if self._fast(block):
            return
        middle = block.find(b"\n\n", len(block) // 2) + 2
        if len(block) < MIN_HALVING_BYTES or not 2 <= middle < len(block):
            for event in block.split(b"\n\n"):
                if event:
                    self._event(event)
        else:
            self._read(block[:middle])
            self._read(block[middle:])

    def _fast(self, block: bytes) -> bool:
        """Count a block in which every event is an ordinary one with output; False if that is not certain.

        An error has no output, so an event that brings one is decoded. Only one in a field of its own, in one read
        with output after it, goes unread: such an answer fails for want of a finish reason. Searching for it here
        would read each byte once more.
        """
        if self.text is not None or not self.chunks:
            return False
        events = block.count(_DATA)
        if not events or block.count(self._key) != events:
            return False
        if self._empty in block or self._finish in block or b"[DONE]" in block[-END_MARK_BYTES:]:
            return False
        if self.has_usage:
            if block.count(_COMPLETION_TOKENS) != events:
                return False
            start = block.rfind(_COMPLETION_TOKENS) + len(_COMPLETION_TOKENS)
            completion = _number(block, start)
            self.tokens += max(completion - self.completion_tokens, 0)
            self.completion_tokens = max(completion, self.completion_tokens)
        else:
            if _COMPLETION_TOKENS in block:
                return False
            self.tokens += events
        self.chunks += events
        self.text_bytes += max(len(block) - events * self._frame_bytes, 0)
        return True

    def _event(self, event: bytes) -> None:
        data, kind, stray = [], b"", False
        for line in event.removeprefix(_BYTE_ORDER_MARK).split(b"\n"):
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.strip())
            elif name == b"event":
                kind = value.strip()
            elif name == b"error":
                self.error = error_message(value) or NO_MESSAGE
            elif name not in _FIELDS:
                stray = True
        payload = b"\n".join(data)
        if not payload:  # a comment that keeps the connection alive, or no event at all
            if stray:
                self._take_stray(event)
        elif payload == b"[DONE]":
            self.done = True
        elif kind == b"error":
            self.error = error_message(payload) or NO_MESSAGE
        else:
            self._take_payload(data, payload, event)

    def _take_payload(self, lines: list[bytes], payload: bytes, event: bytes) -> None:
        try:
            decoded = _json(payload)
        except BadEventsError as error:
            if len(lines) > 1 and all(map(_is_event, lines)):
                raise BadEventsError("no blank line divides its events") from error
            raise
        if isinstance(decoded, dict):
            chunks, self._text = self.chunks, 0
            self._take(decoded)
            if self._text:
                self.text_bytes += self._text
                self._frame_bytes = len(event) + BLANK_LINE_BYTES - self._text
            if self.chunks > chunks and (self._key not in event or self._empty in event):
                self._learn(event)

    def _take_stray(self, lines: bytes) -> None:
        """Lines that are no event: perhaps an error as bare JSON, as a backend sends it past its own front end."""
        self.stray = (self.stray + lines)[:MAX_STRAY_BYTES]
        decoded = decode(lines)
        if isinstance(decoded, dict) and (words := error_in(decoded)):
            self.error = words

    def _take(self, event: dict[str, Any]) -> None:
        if words := error_in(event):
            self.error = words
            return
        if self.endpoint == "generate":
            event = self._as_completion(event)
        choices = event.get("choices")
        has_output = False
        for choice in choices if isinstance(choices, list) else ():
            has_output = self._take_choice(choice) or has_output
        usage = event.get("usage")
        counted = self._take_usage(usage) if isinstance(usage, dict) else 0
        ends = not choices  # the usage at the end comes without output
        if has_output or (counted and self.chunks and not ends) or (not ends and self._is_step):
            # Without usage in every chunk, a chunk with output is a token.
            tokens = counted if self.has_usage else 1
            self.usage_each = self.usage_each or bool(counted and not (self.chunks and self.finish_reason))
            self.chunks += 1
            self.tokens += tokens
            self.k_first = self.k_first or max(tokens, 1)
        elif counted and not ends:
            # Tokens without text yet, held back for UTF-8 or a stop string: count them with the next output.
            self.completion_tokens -= counted

    @property
    def _is_step(self) -> bool:
        """Whether an event with neither text nor count is a token: the last event of a chat only ends it."""
        goes_on = self.endpoint == "completions" or not self.finish_reason
        return self.count_empty_chunks and self.chunks > 0 and not self.has_usage and goes_on

    def _as_completion(self, event: dict[str, Any]) -> dict[str, Any]:
        """SGLang's own event in the form of a completion's; its text and counts cover the whole answer so far."""
        meta, text = event.get("meta_info"), event.get("text")
        if not isinstance(meta, dict):
            return {}
        if self.text is not None and isinstance(text, str) and text.startswith("".join(self.text)):
            self.text.clear()
        reason = meta.get("finish_reason")
        choice = {"text": text, "finish_reason": reason.get("type") if isinstance(reason, dict) else None}
        return {"choices": [choice], "usage": meta | {"prompt_tokens_details": meta}}

    def _take_choice(self, choice: Any) -> bool:
        """Whether a choice carries output: text, reasoning or a tool call. A role alone or an empty delta is none."""
        if not isinstance(choice, dict):
            return False
        reason = choice.get("finish_reason")
        if reason:
            self.finish_reason = sanitize(reason, 40)
        if choice.get("error"):
            self.error = error_in(choice) or NO_MESSAGE
        delta = choice.get("delta")
        return self._take_output(delta if isinstance(delta, dict) else {"text": choice.get("text")})

    def _take_output(self, fields: dict[str, Any]) -> bool:
        has_output = False
        for name, value in fields.items():
            if not value or name in NOT_OUTPUT:
                continue
            if isinstance(value, str):
                has_output, self._output_key = True, name
                self._thinks = self._thinks or name not in ANSWER_KEYS
                # vLLM sends reasoning under two keys for a while.
                if name == "reasoning_content" and fields.get("reasoning") == value:
                    continue
                self._text += len(value.encode())
                if self.text is not None:
                    self.text.append(value)
            elif name in CALLS:
                has_output, self._output_key = True, name
                self._text += len(str(value))
        return has_output

    def _take_usage(self, usage: dict[str, Any]) -> int:
        """Returns by how many tokens the usage rose."""
        prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
        self.prompt_tokens = prompt or self.prompt_tokens
        details = usage.get("prompt_tokens_details")
        cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
        self.cached_tokens = self.cached_tokens if cached is None else cached
        details = usage.get("completion_tokens_details")
        if isinstance(details, dict) and not self._thinks:
            self.hidden_tokens = _count(details.get("reasoning_tokens")) or 0
        if completion is None:
            return 0
        # Until there was usage, every chunk counted as one token.
        increase = completion - (self.completion_tokens if self.has_usage else self.chunks)
        self.has_usage = self.has_usage or completion > 0
        self.completion_tokens = max(completion, self.completion_tokens)
        return max(increase, 0)


def _end_of_events(data: bytes, before: bytes) -> int:
    """Where in `data` the last whole event ends; 0 if none does. `before`: the byte just before `data`."""
    end = data.rfind(b"\n\n")
    if end >= 0:
        return end + 2
    return 1 if before == b"\n" and data.startswith(b"\n") else 0


def _is_event(line: bytes) -> bool:
    return line == b"[DONE]" or isinstance(decode(line), dict)


def _json(payload: bytes) -> Any:
    """The payload of an event; bytes that are not UTF-8 do not spoil the rest. Raises BadEventsError."""
    try:
        try:
            return _decode(payload)
        except UnicodeDecodeError:
            return _decode(payload.decode("utf-8", "replace"))
    except msgspec.DecodeError as error:
        raise BadEventsError(f"an event that is not JSON: {sanitize(error)}") from error
    except RecursionError as error:
        raise BadEventsError("an event that is nested too deep") from error


def _count(value: object) -> int | None:
    """A plausible count of tokens, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS else None


def _number(data: bytes, start: int) -> int:
    """The count of tokens that begins at `start`, after spaces; 0 without a plausible one."""
    end = start
    while data[end : end + 1] == b" ":
        end += 1
    start = end
    while data[end : end + 1].isdigit():
        end += 1
    return (start < end <= start + MAX_DIGITS and _count(int(data[start:end]))) or 0
