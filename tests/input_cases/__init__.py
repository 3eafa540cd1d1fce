"""Every known kind of bad input: how a project is spoiled, which command meets it, and what the user sees.

`python -m tests.input_cases --write` renews the table in docs/input-errors.md; tests/test_input_errors.py runs the
cases and checks the table.
"""

from tests.input_cases.backbones import BACKBONES
from tests.input_cases.bases import BASES
from tests.input_cases.boxes import BOX_TABLES, DATA_SET_BOXES
from tests.input_cases.file_places import PLACES
from tests.input_cases.images import IMAGES
from tests.input_cases.label_files import LABEL_FILES
from tests.input_cases.made_files import MADE_FILES
from tests.input_cases.models import MODELS
from tests.input_cases.parameters import PARAMETERS
from tests.input_cases.pixels import PIXELS
from tests.input_cases.quotes import QUOTES
from tests.input_cases.spellings import SPELLINGS
from tests.input_cases.split_files import SPLIT_FILES

CASES = (
    *PARAMETERS,
    *LABEL_FILES,
    *SPLIT_FILES,
    *SPELLINGS,
    *QUOTES,
    *PLACES,
    *IMAGES,
    *PIXELS,
    *MADE_FILES,
    *MODELS,
    *BOX_TABLES,
    *DATA_SET_BOXES,
    *BASES,
    *BACKBONES,
)
