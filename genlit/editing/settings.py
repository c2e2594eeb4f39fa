"""What the images of a session depend on besides what the user does."""

from dataclasses import dataclass, fields, replace
from typing import Any

from genlit.editing.strokes import numbers

CODES, FILLING = "codes", "filling"


@dataclass(frozen=True)
class Settings:
    """What images depend on besides actions.

    Args:
        seed: Of all that is drawn.
        candidates: How many there are.
        steps: Steps of a search after a stroke.
        weight: What a code's distance to where its search begins costs.
        by: codes or filling.
    """

    seed: int = 0
    candidates: int = 8
    steps: int = 40
    weight: float = 0.01
    by: str = CODES

    def updated(self, given: Any) -> "Settings":
        """These settings with others in place of some.

        Raises:
            ValueError: If these are no such.
        """
        known = {f.name: f.type for f in fields(self)}
        if not isinstance(given, dict) or not given.keys() <= known.keys():
            raise ValueError(f"the settings of a session are {', '.join(known)}")
        bounds = {"seed": (-(2**63), 2**63), "candidates": (1, 64), "steps": (1, 2000)}
        for name, value in given.items():
            if name in bounds:
                numbers([value], 1, *bounds[name], f"the setting {name}")
                if type(value) is not int:
                    raise ValueError(f"the setting {name} is a whole number, not {value!r}")
            elif name == "weight":
                numbers([value], 1, 0.0, 1e6, "the setting weight")
            elif value not in (CODES, FILLING):
                raise ValueError(f"the setting by is codes or filling, not {value!r:.40}")
        return replace(self, **given)
