"""World models: what comes of actions, learned from what was lived through, to plan in.

`ensemble` has the mathematics: many networks computed at once, and the law of a transition.
"""

from genlit.worlds.world_model import WorldModel

__all__ = ["WorldModel"]
