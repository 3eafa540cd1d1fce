"""Names of image files: what is left without folder, suffix and the form of letters."""

import re
import unicodedata

SUFFIX = re.compile(r"\.(?:png|jpe?g|jfif|tiff?|bmp|dcm|dicom|dic|ima|img)(?:\.gz)?$", re.IGNORECASE)
SAME_FORMAT = {"jpeg": "jpg", "jfif": "jpg", "tiff": "tif", "dicom": "dcm", "dic": "dcm", "ima": "dcm"}


def base_name(name: str) -> str:
    """The name without folders, of any operating system."""
    return re.split(r"[/\\]", name)[-1]


def stem_of(name: str) -> str:
    """The name without folders and image suffix, in small letters and one Unicode form."""
    return folded(SUFFIX.sub("", base_name(name)))


def folded(name: str) -> str:
    """The name in small letters and one Unicode form."""
    # Small letters of composed ones may come in parts
    return name.lower() if name.isascii() else composed(composed(name).casefold())


def composed(name: str) -> str:
    """The name in one Unicode form: letters with their accents."""
    return unicodedata.normalize("NFC", name)


def format_of(name: str) -> str:
    """The format that a suffix states, '' if there is none: jpg also for .JPEG."""
    found = SUFFIX.search(name)
    suffix = found[0][1:].lower() if found else ""
    return SAME_FORMAT.get(suffix, suffix)
