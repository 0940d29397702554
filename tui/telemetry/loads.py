"""SGLang's /v1/loads, which answers when /metrics is off: gauges only, published about every 15 decode steps."""

from typing import Any

import msgspec

from tui.records import gauges
from tui.telemetry.numbers import finite

_GB = float(1 << 30)
_FIELDS: dict[str, tuple[str, str, float]] = {
    gauges.RUNNING: ("", "num_running_reqs", 1),
    gauges.WAITING: ("", "num_waiting_reqs", 1),
    gauges.KV_USAGE: ("", "token_usage", 1),
    gauges.KV_POOL_TOKENS: ("", "max_total_num_tokens", 1),
    gauges.WEIGHTS_BYTES: ("memory", "weight_gb", _GB),
    gauges.KV_BYTES: ("memory", "kv_cache_gb", _GB),
}
_OF_EACH_RANK = (gauges.KV_USAGE, gauges.WEIGHTS_BYTES, gauges.KV_BYTES)


def read_loads(page: bytes) -> dict[str, float]:
    """Gauges over all data-parallel ranks: sums, but means of shares and bytes a GPU. ValueError: not that JSON."""
    try:
        decoded = msgspec.json.decode(page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("broken JSON") from error
    rows = decoded.get("loads") if isinstance(decoded, dict) else None
    if not rows or not isinstance(rows, list):
        raise ValueError("JSON without a list of loads")
    found: dict[str, float] = {}
    for name, (table, key, scale) in _FIELDS.items():
        values = [value * scale for row in rows if (value := _number(row, table, key)) is not None]
        if values:
            found[name] = sum(values) / (len(values) if name in _OF_EACH_RANK else 1)
    return found


def _number(row: Any, table: str, key: str) -> float | None:
    inner = row.get(table) if table and isinstance(row, dict) else row
    value = inner.get(key) if isinstance(inner, dict) else None
    return finite(value)
