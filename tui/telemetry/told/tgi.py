"""Text Generation Inference: its /info, whose keys came and went over the versions."""

from tui.model.session import LaneInfo
from tui.net.http import Site
from tui.telemetry.told.values import Told, last_part, text, whole


async def read(site: Site, info: LaneInfo) -> Told:
    """Without a `max_batch_size` tokens alone limit its batches; `max_concurrent_requests` counts those that wait."""
    told = (await site.ask("/info")).json_object()
    return {
        "weights": last_part(told.get("model_id")),
        "dtype": text(str(told.get("model_dtype") or "").removeprefix("torch.")),
        "kv_tokens": whole(told.get("max_batch_total_tokens")),
        "max_running": whole(told.get("max_batch_size")),
        "prefill_budget": whole(told.get("max_batch_prefill_tokens")),
        "note": "TGI does not tell its quantisation, shards, prefix cache and CUDA graphs",
    }
