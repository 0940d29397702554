"""llama.cpp: its /props."""

from tui.model.session import LaneInfo
from tui.model.text import sanitize
from tui.net.http import Site
from tui.telemetry.told.values import WHOLE, Told, last_part, table, text, whole


async def read(site: Site, info: LaneInfo) -> Told:
    """Its pool is shared out over the slots. A prompt cache in memory may stand behind them: it is not told of."""
    props = (await site.ask("/props")).json_object()
    slots = whole(props.get("total_slots"))
    kind = sanitize(props.get("model_ftype", ""), 40)  # "all F32", "BF16", "Q4_K - Medium"
    dtype = WHOLE.get(kind.removeprefix("all "))
    guessing = table(table(props, "default_generation_settings"), "params").get("speculative.types")
    return {
        "weights": last_part(props.get("model_path")),
        "quantisation": "none" if dtype else kind or None,
        "dtype": dtype,
        "max_running": slots,
        "kv_tokens": slots * info.max_model_len if slots and info.max_model_len else None,
        "speculative": "off" if guessing == "none" else text(guessing),
        "sampling_defaults": "model",
    }
