"""LMDeploy: the labels of its gauge `backend_config`, which some versions leave empty."""

from tui.model.session import LaneInfo
from tui.net.http import Site
from tui.net.prometheus import parse
from tui.telemetry.server import finite
from tui.telemetry.told.values import Told, flag, opposite, text, whole

_CONFIG = "lmdeploy:backend_config_info"
_KV_POLICY = {"0": "auto", "4": "int4", "8": "int8"}  # of --quant-policy


async def read(site: Site, info: LaneInfo) -> Told:
    """It has no other place that tells a setting."""
    try:
        samples = parse((await site.ask("/metrics")).body, (_CONFIG,)).get(_CONFIG, [])
    except ValueError:
        samples = []
    config = samples[0][0] if samples else {}
    if not config:
        return {"note": "LMDeploy does not tell its settings: compare the commands that started both"}
    return {
        "dtype": text(config.get("dtype")),
        "quantisation": _format(config.get("model_format")),
        "tensor_parallel": whole(config.get("tp")),
        "max_model_len": whole(config.get("session_len")),
        "max_running": whole(config.get("max_batch_size")),
        "prefix_cache": flag(config.get("enable_prefix_caching")),
        "prefill_budget": whole(config.get("max_prefill_token_num")),
        "kv_block": whole(config.get("cache_block_seq_len") or config.get("block_size")),
        "kv_dtype": _KV_POLICY.get(config.get("quant_policy", "")),
        "cuda_graphs": opposite(flag(config.get("eager_mode"))),
        "memory_fraction": finite(config.get("cache_max_entry_count")),
    }


def _format(told: str | None) -> str | None:
    """`hf` and None are weights as they were trained."""
    return "none" if told in ("hf", "None") else text(told)
