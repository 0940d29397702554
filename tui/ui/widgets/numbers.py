"""How numbers are written: fixed width where they change, a comma between thousands, a dash where there is none.

`1,438` everywhere; `1.4k` only where a whole number has no room, and then in all of its axis or column.
"""

NONE = "–"


def whole(value: float | None) -> str:
    """`2,481`."""
    return NONE if value is None else f"{value:,.0f}"


def thousands(value: float) -> str:
    """`12.5k`, `1.2M`, and 0 as it is."""
    return f"{value / 1e6:.4g}M" if value >= 1e6 else f"{value / 1e3:.4g}k" if value else "0"


def short(value: float) -> str:
    """A count in four characters, so that it never touches the cell before it: `999`, `1.2k`, `162k`, `1.6M`."""
    if value < 999.5:
        return whole(value)
    for unit, factor in (("k", 1e3), ("M", 1e6)):
        scaled = value / factor
        if scaled < 999.5:
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return f"{value / 1e9:.1f}G"


def counted(number: int, what: str) -> str:
    """`1 row`, `2,481 rows`."""
    return f"{whole(number)} {what}{'' if number == 1 else 's'}"


def figure(value: float | None) -> str:
    """A rate or a latency in three significant digits: `0.42`, `84.1`, `1,204`."""
    if value is None:
        return NONE
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 1000 else whole(value)


def seconds(value_ms: float | None) -> str:
    """Milliseconds written as seconds: `1.91`, `64.2`."""
    if value_ms is None:
        return NONE
    value = value_ms / 1000
    return f"{value:.2f}" if value < 100 else f"{value:.1f}"


def percent(share: float | None) -> str:
    """A share 0..1 as `38 %`."""
    return NONE if share is None else f"{share * 100:.0f} %"


def ratio(value: float | None) -> str:
    """A over B: `1.14`, `12.3`."""
    return NONE if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def interval(low: float | None, high: float | None) -> str:
    """`1.08 … 1.21`, or nothing."""
    return "" if low is None or high is None else f"{low:.2f} … {high:.2f}"


def gib(value: float | None) -> str:
    """Bytes as GiB with one decimal."""
    return NONE if value is None else f"{value / 2**30:.1f}"


def size(value: float) -> str:
    """Bytes in two significant digits, so that the cell seldom changes: `610 kB`, `6.1 MB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            scaled = value / factor
            return (
                f"{scaled:.1f} {unit}" if scaled < 10 else f"{round(scaled, -1 if scaled >= 100 else 0):.0f} {unit}"
            )
    return f"{value:.0f} B"


def clock(value_s: float) -> str:
    """`00:04:12`."""
    whole_s = int(value_s)
    return f"{whole_s // 3600:02d}:{whole_s // 60 % 60:02d}:{whole_s % 60:02d}"


def short_clock(value_s: float) -> str:
    """`04:12`, with hours when there are some."""
    return clock(value_s) if value_s >= 3600 else clock(value_s)[3:]
