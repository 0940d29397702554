"""The parts of a request body that engines share.

A field that one engine accepts another refuses (TensorRT-LLM answers 400 to any field it does not know), so each
engine file adds only its own. Every sampling field that an engine knows is sent, because defaults differ by engine,
by endpoint and by the model's `generation_config.json`.

`min_tokens` is not sent: `ignore_eos` alone gives the exact length, and both vLLM and SGLang would mask the end
token in the logits at every step for it, work that no ordinary request asks for.
"""

from typing import Any

from tui.engines.base import Ask


def official(ask: Ask, *, length_field: str = "max_tokens") -> dict[str, Any]:
    """A streaming body of fields in OpenAI's own API. A chat gets its prompt as one user message.

    Raises ValueError when a chat is asked with token ids: no chat endpoint takes them.
    """
    body: dict[str, Any] = {"model": ask.model}
    if ask.endpoint == "completions":
        body["prompt"] = ask.prompt
    elif isinstance(ask.prompt, str):
        body["messages"] = [{"role": "user", "content": ask.prompt}]
    else:
        raise ValueError("a chat takes its prompt as text, not as token ids")
    return body | {
        length_field: ask.output_tokens,
        "temperature": ask.temperature,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": ask.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def exact(ask: Ask, *, top_k: int) -> dict[str, Any]:
    """A body of exact length that can report usage with every chunk; `top_k` is the engine's word for none."""
    return official(ask, length_field=length_field(ask)) | {
        "top_k": top_k,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "ignore_eos": True,
        "stream_options": usage_wanted(ask),
    }


def without_seed_when_random(body: dict[str, Any]) -> dict[str, Any]:
    """The body less its seed where tokens are drawn at random.

    vLLM then draws each seeded request by itself, one kernel a request at every step ("this can be slow", says
    `v1/sample/ops/topk_topp_sampler.py` of 0.32), while SGLang passes the seed over unless it was started for
    deterministic inference: the seed would cost one of them and give neither the other's tokens.
    """
    return {key: value for key, value in body.items() if key != "seed" or not body["temperature"]}


def usage_wanted(ask: Ask) -> dict[str, bool]:
    """The `stream_options` of engines that can report usage with every chunk.

    With each chunk it makes a chunk's tokens exact, at a cost (`load.counting`); at the end only, a chunk counts as
    one token until the total is known.
    """
    return {"include_usage": True} | ({"continuous_usage_stats": True} if ask.usage == "each" else {})


def length_field(ask: Ask) -> str:
    """The length limit's name on engines that follow the newer chat API."""
    return "max_completion_tokens" if ask.endpoint == "chat" else "max_tokens"
