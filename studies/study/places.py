"""The folders of the project and its studies, and of the resumable state of a run that is started without DVC."""

import os
from pathlib import Path

STUDIES = Path(__file__).resolve().parents[1]
ROOT = STUDIES.parent


def keep_state_in_studies() -> None:
    """Keep resumable state in studies/.resume, also without DVC, which sets this itself for the commands it runs."""
    os.environ.setdefault("DVC_ROOT", str(STUDIES))
