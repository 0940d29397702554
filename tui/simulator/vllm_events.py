"""vLLM's events: the finish reason comes with the last token, the fingerprint with the last event."""

import secrets
from typing import Any

from tui.simulator.asking import Asked
from tui.simulator.events import DONE, compact, counts, counts_json, head

FINGERPRINT = "vllm-simulated"
_DETAILS = ',"completion_tokens_details":null'


class VllmEvents:
    """One request's answer as vLLM 0.32.0 writes it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._id = ("chatcmpl-" if asked.chat else "cmpl-") + secrets.token_hex(8)
        self._head = "data: " + compact(head(asked, self._id, stream=True))[:-1] + ',"choices":['
        text = '{"index":0,"delta":{"content":"' if asked.chat else '{"index":0,"text":"'
        self._before = self._head + text
        self._after = self._after_text(None)
        self._fingerprint = f',"system_fingerprint":"{FINGERPRINT}"'

    def first(self) -> bytes:
        """The role, with no token counted yet."""
        if not self._asked.chat:
            return b""
        choice = '{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]'
        return f'{self._head}{choice}{self._usage(0)},"prompt_token_ids":null,"prompt_text":null}}\n\n'.encode()

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """One token."""
        after = self._after_text(self._asked.finish_reason) if last else self._after
        mark = self._fingerprint if last and not self._asked.usage else ""
        return f"{self._before}{text}{after}{self._usage(number)}{mark}}}\n\n".encode()

    def end(self, number: int) -> bytes:
        """The usage, if it was asked for, and the end mark."""
        if not self._asked.usage:
            return DONE
        return f'{self._head}],"usage":{counts_json(self._asked, number)}{self._fingerprint}}}\n\n'.encode() + DONE

    def whole(self, text: str, number: int) -> dict[str, Any]:
        """The answer in one."""
        choice: dict[str, Any] = {"index": 0}
        if self._asked.chat:
            choice["message"] = {"role": "assistant", "content": text, "refusal": None, "reasoning": None}
        else:
            choice["text"] = text
        choice |= {"logprobs": None, "finish_reason": self._asked.finish_reason, "stop_reason": None}
        return head(self._asked, self._id, stream=False) | {
            "choices": [choice],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": counts(self._asked, number) | {"prompt_tokens_details": None, "completion_tokens_details": None},
        }

    def _after_text(self, reason: str | None) -> str:
        finish = f'"{reason}"' if reason else "null"
        if self._asked.chat:
            stop = ',"stop_reason":null' if reason else ""
            return f'"}},"logprobs":null,"finish_reason":{finish}{stop},"token_ids":null}}]'
        rest = '"stop_reason":null,"prompt_token_ids":null,"token_ids":null'
        return f'","logprobs":null,"finish_reason":{finish},{rest}}}]'

    def _usage(self, number: int) -> str:
        if not self._asked.usage_always:
            return ""
        return f',"usage":{counts_json(self._asked, number, _DETAILS)}'
