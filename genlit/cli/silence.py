"""What other libraries say that is nothing to genlit's users."""

import logging
import warnings


def silence() -> None:
    """Keeps Lightning's tips and other libraries' deprecations from the user's screen."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        for part in ("utilities.rank_zero", "utilities.seed", "accelerators.cuda"):
            logging.getLogger(f"{name}.{part}").setLevel(logging.WARNING)
    warnings.formatwarning = lambda message, *_, **__: f"genlit: warning: {message}\n"
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*LightningCLI's args parameter.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
