"""Where the project and its studies are, and where a run that is started without DVC keeps its state."""

import os
from pathlib import Path

STUDIES = Path(__file__).resolve().parents[1]
ROOT = STUDIES.parent


def keep_state_in_studies() -> None:
    """Resumable state lies in studies/.resume: DVC says so itself to what it runs."""
    os.environ.setdefault("DVC_ROOT", str(STUDIES))
