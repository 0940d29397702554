"""SGLang's events: a chat's finish reason comes in an event of its own, completions carry `usage: null`."""

import secrets
from typing import Any

from tui.simulator.asking import Asked
from tui.simulator.events import DONE, compact, counts, counts_json, head

_DETAILS = ',"reasoning_tokens":0'
_CHAT_DETAILS = ',"prompt_tokens_details":null,"reasoning_tokens":0,"completion_tokens_details":null'
END_TOKEN = 2  # what `matched_stop` names when the model itself ended


class SglangEvents:
    """One request's answer as SGLang 0.5.23 writes it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._id = secrets.token_hex(16)
        self._head = "data: " + compact(head(asked, self._id, stream=True))[:-1] + ',"choices":['
        text = '{"index":0,"delta":{"reasoning_content":null,"content":"' if asked.chat else '{"index":0,"text":"'
        self._before = self._head + text
        self._close = '"}' if asked.chat else '"'
        self._none = "" if asked.chat else ',"usage":null'
        self._after = f"{self._close},{self._finish(None)}"

    def first(self) -> bytes:
        """The role, never with usage."""
        if not self._asked.chat:
            return b""
        delta = '{"reasoning_content":null,"role":"assistant","content":""}'
        return f'{self._head}{{"index":0,"delta":{delta},{self._finish(None)}}}\n\n'.encode()

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """One token; of completions the last has the finish reason."""
        ends = last and not self._asked.chat
        after = f"{self._close},{self._finish(self._asked.finish_reason)}" if ends else self._after
        return f"{self._before}{text}{after}{self._usage(number)}}}\n\n".encode()

    def end(self, number: int) -> bytes:
        """A chat's finish event, the usage if it was asked for, and the end mark."""
        events = ""
        if self._asked.chat:
            finish = self._finish(self._asked.finish_reason)
            events += f'{self._head}{{"index":0,"delta":{{"reasoning_content":null}},{finish}}}\n\n'
        if self._asked.usage:
            events += f'{self._head}],"usage":{self._counts(number)}}}\n\n'
        return events.encode() + DONE

    def whole(self, text: str, number: int) -> dict[str, Any]:
        """The answer in one."""
        choice: dict[str, Any] = {"index": 0}
        if self._asked.chat:
            choice["message"] = {"role": "assistant", "content": text, "reasoning_content": None}
        else:
            choice["text"] = text
        reason = self._asked.finish_reason
        choice |= {"logprobs": None, "finish_reason": reason, "matched_stop": _matched(reason)}
        details = {"prompt_tokens_details": None, "reasoning_tokens": 0, "completion_tokens_details": None}
        return head(self._asked, self._id, stream=False) | {
            "choices": [choice],
            "usage": counts(self._asked, number) | details,
            "metadata": {"weight_version": "simulated"},
        }

    def _finish(self, reason: str | None) -> str:
        finish = compact({"logprobs": None, "finish_reason": reason, "matched_stop": _matched(reason)})
        return finish[1:] + "]"

    def _counts(self, number: int) -> str:
        return counts_json(self._asked, number, _CHAT_DETAILS if self._asked.chat else _DETAILS)

    def _usage(self, number: int) -> str:
        return f',"usage":{self._counts(number)}' if self._asked.usage_always else self._none


def _matched(reason: str | None) -> int | None:
    return END_TOKEN if reason == "stop" else None
