"""The events of SGLang's own endpoint: each has the whole answer so far, its token ids, and the counts."""

import secrets
from typing import Any

from tui.simulator.asking import Asked
from tui.simulator.events import DONE, compact
from tui.simulator.sglang_events import END_TOKEN
from tui.simulator.words import tokenize


class GenerateEvents:
    """One request's answer as SGLang 0.5.23 writes it, less the times that it notes of itself."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._id = secrets.token_hex(16)
        self._text = ""
        self._ids: list[int] = []

    def first(self) -> bytes:
        """Nothing comes before the first token."""
        return b""

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """One more token, with all before it."""
        self._text += text
        self._ids += tokenize(text)
        return _event(self._answer(self._text, self._ids, number, ends=last))

    def end(self, number: int) -> bytes:
        """The end mark."""
        return DONE

    def whole(self, text: str, number: int) -> dict[str, Any]:
        """The answer in one."""
        return self._answer(text, tokenize(text), number, ends=True)

    def _answer(self, text: str, ids: list[int], number: int, *, ends: bool) -> dict[str, Any]:
        about = {
            "id": self._id,
            "finish_reason": self._reason() if ends else None,
            "prompt_tokens": len(self._asked.prompt),
            "weight_version": "simulated",
            "num_retractions": 0,
            "reasoning_tokens": 0,
            "completion_tokens": number,
            "cached_tokens": 0,
            "cached_tokens_details": None,
            "dp_rank": None,
        }
        return {"text": text, "output_ids": ids, "meta_info": about}

    def _reason(self) -> dict[str, Any]:
        if self._asked.finish_reason == "stop":
            return {"type": "stop", "matched": END_TOKEN}
        return {"type": "length", "length": self._asked.output_tokens}


def refusal(message: str) -> bytes:
    """A stream that says why there is no answer: a request that this endpoint refuses has begun by then."""
    error = {"message": message, "type": "invalid_request_error", "code": 400, "retryable": False}
    return _event({"error": error}) + DONE


def _event(told: dict[str, Any]) -> bytes:
    return f"data: {compact(told)}\n\n".encode()
