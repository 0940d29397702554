"""Answers that are errors, in each engine's own shape, and in its words where those were captured.

From vLLM 0.32.0 and SGLang 0.5.23. Not captured, so in our words: SGLang on `min_tokens`, on fewer than no tokens and
on ids outside the vocabulary; either one on overload.
"""

from typing import Any


class RefusedError(Exception):
    """An answer that is an error: status, message, type and the parameter at fault."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param = status, message, kind, param

    def body(self, engine: str) -> dict[str, Any]:
        """The error as that engine writes it: vLLM under `error`, SGLang flat and without a parameter."""
        if engine == "vllm":
            return {
                "error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.status},
            }
        return {"object": "error", "message": self.message, "type": self.kind, "param": None, "code": self.status}


OVERLOADED = {
    "http_429": RefusedError(429, "Too many requests.", "TooManyRequestsError"),
    "http_503": RefusedError(503, "The request queue is full.", "ServiceUnavailableError"),
}


def malformed(engine: str, kind: str, field: str, message: str) -> RefusedError:
    """What the engine's parser says of a field of the wrong form; an empty `field` is the whole body."""
    param = f"body.{field}" if field else "body"
    place = repr(param) if engine == "vllm" else repr(("body", field) if field else ("body",))
    text = f"1 validation error:\n  {{'type': '{kind}', 'loc': {place}, 'msg': '{message}'}}"
    return RefusedError(400, text, "Bad Request", param)


def prompt_too_long(engine: str, tokens: int, limit: int) -> RefusedError:
    """The prompt alone fills the context."""
    if engine == "vllm":
        return RefusedError(
            400,
            f"This model's maximum context length is {limit} tokens. However, your prompt contains at least "
            f"{limit + 1} input tokens, which exceeds this limit even without any output tokens. Please reduce the "
            f"length of the input prompt. (parameter=input_tokens, value={limit + 1})",
            param="input_tokens",
        )
    return RefusedError(
        400, f"The input ({tokens} tokens) is longer than the model's context length ({limit} tokens)."
    )


def output_over_context(engine: str, wanted: int, limit: int) -> RefusedError:
    """More output tokens than the whole context holds."""
    if engine == "vllm":
        return RefusedError(
            400,
            f"max_tokens={wanted} cannot be greater than max_model_len={limit}. Please request fewer output tokens. "
            f"(parameter=max_tokens, value={wanted})",
            param="max_tokens",
        )
    return RefusedError(
        400,
        f"max_completion_tokens is too large: {wanted}.This model supports at most {limit} completion tokens.",
    )


def sum_over_context(prompt_tokens: int, wanted: int, limit: int) -> RefusedError:
    """SGLang: prompt and output together do not fit. vLLM gives what fits instead."""
    return RefusedError(
        400,
        f"Requested token count exceeds the model's maximum context length of {limit} tokens. You requested a total "
        f"of {prompt_tokens + wanted} tokens: {prompt_tokens} tokens from the input messages and {wanted} tokens for "
        "the completion. Please reduce the number of tokens in the input messages or the completion to fit within "
        "the limit.",
    )


def too_few_output_tokens(engine: str, wanted: int) -> RefusedError:
    """vLLM wants one token at least; SGLang takes none for an answer, but no less."""
    if engine == "vllm":
        message = f"max_tokens must be at least 1, got {wanted}. (parameter=max_tokens, value={wanted})"
        return RefusedError(400, message, param="max_tokens")
    return RefusedError(400, f"max_new_tokens must be at least 0, got {wanted}.")


def least_over_most(engine: str, least: int, most: int) -> RefusedError:
    """min_tokens above max_tokens."""
    if engine == "vllm":
        return RefusedError(400, f"min_tokens must be less than or equal to max_tokens={most}, got {least}.")
    return RefusedError(400, f"min_new_tokens must be in [0, max_new_tokens({most})], got {least}.")


def cold_temperature(engine: str, temperature: float) -> RefusedError:
    """A temperature below zero."""
    if engine == "vllm":
        return RefusedError(
            400,
            f"temperature must be non-negative, got {temperature}. (parameter=temperature, value={temperature})",
            param="temperature",
        )
    return RefusedError(400, f"temperature must be a non-negative finite number, got {temperature}.")


def no_prompt(engine: str) -> RefusedError:
    """An empty prompt, or none."""
    if engine == "vllm":
        message = "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)"
        return RefusedError(400, message, param="prompt")
    return RefusedError(400, "Prompt cannot be empty")


def unknown_token(token: int) -> RefusedError:
    """An id outside the vocabulary, in vLLM's words. SGLang 0.5.23 was seen to end its whole server on one."""
    return RefusedError(400, f"Token id {token} is out of vocabulary")


def unknown_model(asked: str, served: str) -> RefusedError:
    """vLLM only: SGLang serves what it has under any name."""
    return RefusedError(
        404, f"The model `{asked}` does not exist. Valid aliases: {served}.", "NotFoundError", "model"
    )
