"""Names and units of what servers and GPUs report, one vocabulary for every engine.

Server counters (`*_total`) run from the server's start; a falling value means that it restarted.
"""

from typing import Final

SERVER: Final = "server"

RUNNING: Final = "running"  # requests
WAITING: Final = "waiting"  # requests
KV_USAGE: Final = "kv_usage"  # share of the KV pool held by running requests, 0..1
KV_POOL_TOKENS: Final = "kv_pool_tokens"
PREFIX_HITS: Final = "prefix_hits_total"  # tokens
PREFIX_QUERIES: Final = "prefix_queries_total"  # tokens
GENERATION_TOKENS: Final = "generation_tokens_total"  # live: rises while requests run
GENERATION_TOKENS_FINISHED: Final = "generation_tokens_finished_total"  # exact: rises when a request ends
PROMPT_TOKENS: Final = "prompt_tokens_total"  # live: rises when a prompt is read
PROMPT_TOKENS_FINISHED: Final = "prompt_tokens_finished_total"  # rises when a request ends
REQUESTS_FINISHED: Final = "requests_finished_total"
PREEMPTIONS: Final = "preemptions_total"
WEIGHTS_BYTES: Final = "weights_bytes"  # on each GPU
KV_BYTES: Final = "kv_bytes"  # of the KV pool on each GPU

GPU_MEMORY_USED: Final = "memory_used_bytes"
GPU_MEMORY_TOTAL: Final = "memory_total_bytes"
GPU_MEMORY_ENGINE: Final = "memory_engine_bytes"  # used by the lane's processes
GPU_UTILIZATION: Final = "utilization_pct"
GPU_POWER: Final = "power_w"
GPU_ENERGY: Final = "energy_j_total"
GPU_TEMPERATURE: Final = "temperature_c"
GPU_SM_CLOCK: Final = "sm_clock_mhz"
GPU_THROTTLED: Final = "throttled"  # 0 or 1
