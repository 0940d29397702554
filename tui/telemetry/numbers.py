"""Numbers that a server names, which may be anything."""

import math


def finite(value: object) -> float | None:
    """A finite number, also from the text of a label; None when it is none. A whole number may be beyond a float."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
