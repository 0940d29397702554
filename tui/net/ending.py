"""How an answer ended: good, failed or refused, and why. Detection, doctor and the load all ask here."""

from typing import Final, NamedTuple

from tui.model.rows import Cause, Outcome
from tui.model.text import sanitize
from tui.net.http import REDIRECTS
from tui.net.response import Response

# Of an answer that ended well; an engine may have more (`Engine.finish_reasons`).
FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "function_call"})
FILTERED: Final = "content_filter"
TOO_MANY_REQUESTS: Final = 429
MAX_DETAIL: Final = 300


class Ending(NamedTuple):
    """What became of a request, in the words of a row."""

    outcome: Outcome
    cause: Cause
    detail: str


GOOD: Final = Ending("ok", "", "")


def ending(response: Response, finish_reasons: frozenset[str] = FINISH_REASONS) -> Ending:
    """The ending of a message that is complete, or whose end mark has come.

    Good is only what ended as a good answer ends: with a finish reason of that kind, output, and no error anywhere.
    """
    events = response.events
    if response.status != 200:
        return _refusal(response)
    if fault := response.unreadable or (not response.is_stream and f"it does not stream: {_came(response)}"):
        return _failed("bad answer", fault)
    if events.error:
        return _failed("error in stream", events.error)
    if events.finish_reason == FILTERED:
        return Ending("refused", "content filter", f"finish reason {FILTERED}")
    return _stream_ending(response, finish_reasons)


def _stream_ending(response: Response, finish_reasons: frozenset[str]) -> Ending:
    events, reason = response.events, response.events.finish_reason
    if reason and reason not in finish_reasons:
        return _failed("bad finish", f"finish reason {reason}")
    if not events.chunks and (reason or events.done or events.stray):
        stray = f": {sanitize(events.stray.decode('utf-8', 'replace'), 120)}" if events.stray else ""
        return _failed("no output", f"the stream ended without output{stray}")
    if not reason:
        mark = ", only with an end mark" if events.done else " or an end mark"
        return _failed("cut short", f"the stream ended without a finish reason{mark}")
    return GOOD


def _failed(cause: Cause, detail: str) -> Ending:
    return Ending("failed", cause, detail[:MAX_DETAIL])


def ending_when_cut(response: Response, cause: Cause, detail: str) -> Ending:
    """The ending of a message that is not complete: with the server's words where some came, else with this cause."""
    if response.head_complete and response.status != 200:
        return _refusal(response)
    if response.head_complete and response.events.error:
        return _failed("error in stream", response.events.error)
    return _failed(cause, detail)


def ending_when_closed(response: Response) -> Ending:
    """The ending of a message that is not complete when the server closes the connection."""
    if response.head_complete:
        return ending_when_cut(response, "cut short", "the connection closed before the end of the answer")
    return _failed("reset", "the connection closed without an answer")


def _refusal(response: Response) -> Ending:
    status = response.status
    if status in REDIRECTS and response.location:
        where = sanitize(response.location.decode("latin-1"), 200)
        return _failed("redirect", f"{status}: it redirects to {where}: give the URL of the server there")
    if status == TOO_MANY_REQUESTS:
        cause: Cause = "http 429"
    else:
        cause = "http 4xx" if status < 500 else "http 5xx"
    return _failed(cause, f"{status}: {response.error_message()}")


def _came(response: Response) -> str:
    came = sanitize(response.content_type.partition(b";")[0].decode("latin-1"), 40) or "an answer without a type"
    words = response.error_message()
    return f"asked for a stream, it sends {came}" + (f": {words}" if words else "")
