"""Numbers as people read them: as many digits as their standard error leaves meaningful."""

import math


def rounded(value: float, stderr: float | None = None) -> str:
    """A value to the second digit of its standard error; without one, to four digits."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if stderr is None or not math.isfinite(stderr) or stderr <= 0:
        return plain(value)
    return f"{value:.{decimals(stderr)}f}"


def rounded_error(stderr: float | None) -> str:
    """A standard error to its second digit; empty for none."""
    if stderr is None:
        return ""
    if not math.isfinite(stderr) or stderr <= 0:
        return rounded(stderr)
    return f"{stderr:.{decimals(stderr)}f}"


def with_error(value: float, stderr: float | None) -> str:
    """Value ± standard error, of which what rounding in float64 leaves of nothing is nothing."""
    if stderr is not None and math.isfinite(value) and stderr < 1e-9 * abs(value):
        stderr = 0.0
    error = rounded_error(stderr)
    return f"{rounded(value, stderr)} ± {error}" if error else rounded(value)


def difference(value: float, stderr: float | None) -> str:
    """A difference ± its standard error, with its sign."""
    return ("+" if value > 0 else "") + with_error(value, stderr)


def decimals(stderr: float) -> int:
    """Digits after the point that show two digits of a standard error."""
    return min(max(1 - math.floor(math.log10(stderr)), 0), 12)


def plain(value: float) -> str:
    """Four significant digits; whole numbers in full, the very small and large with powers."""
    if value == int(value) and abs(value) < 1e9:
        return str(int(value))
    if not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3e}"
    return f"{value:.{max(3 - math.floor(math.log10(abs(value))), 0)}f}"


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds, the two largest that matter; empty for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
