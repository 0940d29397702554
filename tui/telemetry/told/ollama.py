"""Ollama: the model that is loaded, at /api/ps. It does not tell what its environment sets."""

from tui.model.session import LaneInfo
from tui.model.text import sanitize
from tui.net.http import Site
from tui.telemetry.told.values import WHOLE, Told, rows, table, whole


async def read(site: Site, info: LaneInfo) -> Told:
    """It loads a model with the first request: before that only what kind of weights it has is known."""
    loaded = _entry((await site.ask("/api/ps")).json_object().get("models"), info.model)
    known = loaded or _entry((await site.ask("/api/tags")).json_object().get("models"), info.model)
    kind = sanitize(table(known, "details").get("quantization_level") or "", 40)
    dtype = WHOLE.get(kind)
    note = "Ollama does not tell OLLAMA_NUM_PARALLEL, OLLAMA_KV_CACHE_TYPE and OLLAMA_FLASH_ATTENTION"
    return {
        "weights": info.model or None,
        "quantisation": "none" if dtype else kind or None,
        "dtype": dtype,
        "max_model_len": whole(loaded.get("context_length")),
        "note": note if loaded else f"{note}, and has not loaded the model yet",
    }


def _entry(models: object, name: str) -> Told:
    """The model's row; the tag "latest" need not be said."""
    names = (name, f"{name}:latest")
    return next((row for row in rows(models) if row.get("name") in names or row.get("model") in names), {})
