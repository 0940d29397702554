"""Ollama (read at 0.33.0). It has no metrics, and cuts a prompt that is too long without saying so."""

from typing import Any

from tui.engines.base import Engine, Flag, Settings, Sign, official_body
from tui.engines.readings import gguf_weights, rows, table
from tui.model.session import LaneInfo
from tui.net.http import Site


async def _row(site: Site, path: str, model: str) -> dict[str, Any]:
    """The model's entry in a list of models; the tag "latest" may be left out."""
    names = (model, f"{model}:latest")
    listed = rows((await site.ask(path)).json_object().get("models"))
    return next((row for row in listed if row.get("name") in names or row.get("model") in names), {})


async def read_details(site: Site, model: str) -> Settings:
    version = (await site.ask("/api/version")).json_object().get("version")
    return {"version": version, "max_model_len": (await _row(site, "/api/ps", model)).get("context_length")}


async def read_settings(site: Site, info: LaneInfo) -> Settings:
    """It loads a model with the first request: before that only what kind of weights it has is known."""
    loaded = await _row(site, "/api/ps", info.model)
    known = loaded or await _row(site, "/api/tags", info.model)
    note = "Ollama does not report OLLAMA_NUM_PARALLEL, OLLAMA_KV_CACHE_TYPE and OLLAMA_FLASH_ATTENTION"
    return gguf_weights(table(known, "details").get("quantization_level")) | {
        "weights": info.model or None,
        "max_model_len": loaded.get("context_length"),
        "note": note if loaded else f"{note}, and has not loaded the model yet",
    }


ENGINE = Engine(
    kind="ollama",
    title="Ollama",
    owned_by=("library",),
    sign=Sign("/", lambda answer: b"Ollama is running" in answer.body[:100]),
    endpoint="chat",
    prompt_form="text",
    body=official_body,
    cheap_health="/",
    read_details=read_details,
    read_settings=read_settings,
    flags={
        "max_model_len": Flag("env:OLLAMA_CONTEXT_LENGTH={}"),
        "max_running": Flag("env:OLLAMA_NUM_PARALLEL={}"),
        "kv_dtype": Flag("env:OLLAMA_KV_CACHE_TYPE={}"),
    },
)
