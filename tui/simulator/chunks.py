"""The events of a stream as each engine writes them, built around the text so that a token costs little."""

import json
import time
from dataclasses import dataclass
from typing import Any

from tui.simulator.asking import Asked

DONE = b"data: [DONE]\n\n"
FINGERPRINT = "dragstrip-simulator"


@dataclass(slots=True)
class ChunkWriter:
    """Writes one request's events. `engine` says in whose manner."""

    engine: str
    asked: Asked
    request_id: str
    _head: str = ""

    def __post_init__(self) -> None:
        kind = "chat.completion.chunk" if self.asked.chat else "text_completion"
        head = {"id": self.request_id, "object": kind, "created": int(time.time()), "model": self.asked.model}
        self._head = json.dumps(head, separators=(",", ":"))[:-1]

    def first(self) -> bytes:
        """The role event that opens a chat, before any token; nothing for completions."""
        if not self.asked.chat:
            return b""
        delta = {"role": "assistant", "content": ""}
        if self.engine == "sglang":
            delta = {"reasoning_content": None, **delta}  # type: ignore[dict-item]
            return self._event(self._choice(delta, None), None)
        return self._event(self._choice(delta, None), self._usage(0) if self.asked.usage_always else None)

    def token(self, text: str, completion_tokens: int, *, last: bool) -> bytes:
        """One token. The finish reason comes with vLLM's last token, and with SGLang's unless it is a chat."""
        ends_here = last and not (self.asked.chat and self.engine == "sglang")
        reason = self.asked.finish_reason if ends_here else None
        usage = self._usage(completion_tokens) if self.asked.usage_always else None
        if not self.asked.chat:
            choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
        elif self.engine == "sglang":
            choice = self._choice({"reasoning_content": None, "content": text}, reason)
        else:
            choice = self._choice({"content": text}, reason)
        return self._event(choice, usage)

    def end(self, completion_tokens: int) -> bytes:
        """What follows the last token: SGLang's finish event, the usage if it was asked for, and the end mark."""
        events = b""
        if self.asked.chat and self.engine == "sglang":
            events += self._event(self._choice({"reasoning_content": None}, self.asked.finish_reason), None)
        if self.asked.usage:
            usage = json.dumps(self._usage(completion_tokens), separators=(",", ":"))
            events += f'data: {self._head},"choices":[],"usage":{usage}}}\n\n'.encode()
        return events + DONE

    def whole(self, text: str, completion_tokens: int) -> dict[str, Any]:
        """The answer to a request that did not ask for a stream."""
        reason = self.asked.finish_reason
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": reason}
        if self.asked.chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        kind = "chat.completion" if self.asked.chat else "text_completion"
        head: dict[str, Any] = json.loads(self._head + "}")
        return head | {
            "object": kind,
            "choices": [choice],
            "usage": self._usage(completion_tokens),
            "system_fingerprint": FINGERPRINT,
        }

    def _choice(self, delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}

    def _usage(self, completion_tokens: int) -> dict[str, int]:
        prompt_tokens = len(self.asked.prompt)
        return {
            "prompt_tokens": prompt_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "completion_tokens": completion_tokens,
        }

    def _event(self, choice: dict[str, Any], usage: dict[str, int] | None) -> bytes:
        tail = f',"usage":{json.dumps(usage)}' if usage else (',"usage":null' if self.engine == "sglang" else "")
        return f'data: {self._head},"choices":[{json.dumps(choice, separators=(",", ":"))}]{tail}}}\n\n'.encode()
