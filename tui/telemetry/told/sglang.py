"""SGLang: every resolved argument at /server_info."""

from tui.model.session import LaneInfo
from tui.model.text import sanitize
from tui.net.http import Site
from tui.telemetry.server import finite
from tui.telemetry.told.values import Told, flag, last_part, opposite, rows, table, text, whole


async def read(site: Site, info: LaneInfo) -> Told:
    """Limits of one data-parallel rank count once for each."""
    state = (await site.ask("/server_info")).json_object() or (await site.ask("/get_server_info")).json_object()
    if not state:
        return {"note": "SGLang's /server_info does not answer"}
    inner = rows(state.get("internal_states"))
    running = [whole(row.get("effective_max_running_requests_per_dp")) for row in inner]
    decode = table(table(state, "cuda_graph_config"), "decode")
    chunk = whole(state.get("chunked_prefill_size"))
    graphs = decode.get("backend") != "disabled" if decode else opposite(state.get("disable_cuda_graph"))
    ranks = whole(state.get("dp_size")) or 1
    pool = whole(state.get("max_total_num_tokens"))
    return {
        "weights": last_part(state.get("model_path")),
        "quantisation": text(state.get("quantization")) or "none",
        "dtype": text(state.get("dtype")),
        "tensor_parallel": whole(state.get("tp_size")),
        "kv_tokens": pool * ranks if pool else None,
        "max_running": running[0] * ranks if running and running[0] else whole(state.get("max_running_requests")),
        "prefix_cache": opposite(state.get("disable_radix_cache")),
        "speculative": sanitize(state.get("speculative_algorithm") or "off", 30),
        "cuda_graphs": graphs,
        "cuda_graph_max": whole(decode.get("max_bs", state.get("cuda_graph_max_bs"))) if graphs else None,
        "kv_dtype": sanitize(state["kv_cache_dtype"], 40) if "kv_cache_dtype" in state else None,
        "prefill_budget": chunk if chunk and chunk > 0 else whole(state.get("max_prefill_tokens")),
        "chunked_prefill": None if chunk is None else chunk > 0,
        "mixed_prefill": flag(state.get("enable_mixed_chunk")),
        "kv_block": whole(state.get("page_size")),
        "sampling_defaults": {"model": "model", "openai": "neutral"}.get(str(state.get("sampling_defaults"))),
        "overlap": opposite(state.get("disable_overlap_schedule")),
        "stream_interval": whole(state.get("stream_interval")),
        "seed": whole(state.get("random_seed")),
        "memory_fraction": finite(state.get("mem_fraction_static")),
    }
