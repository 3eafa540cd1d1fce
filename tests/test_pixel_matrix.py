"""What is read from a file is what is in it: formats x depths x photometric x orientation x compression.

The greys of each cell come from how its file was made, or from another reader (Pillow for lossy files, pydicom).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.pixel_cells import dicom_files, dicom_rare, jpeg_files, other_files, png_files, tiff_cells
from tests.pixel_cells.cell import HEIGHT, WIDTH, Cell, film
from trcgl.images.decode import UnreadableImage, decode, header_size

MATRIX: dict[str, tuple[Callable[[], Iterator[Cell]], int]] = {
    "PNG": (png_files.cells, 940),
    "JPEG": (jpeg_files.cells, 430),
    "TIFF": (tiff_cells.cells, 960),
    "DICOM": (dicom_files.cells, 970),
    "DICOM, rare": (dicom_rare.cells, 28),
    "others": (other_files.cells, 75),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("JPEG", "DICOM, rare", "others") else pytest.mark.slow)
        for name in MATRIX
    ],
)
def test_a_picture_is_read_as_it_is_meant(name: str, tmp_path: Path):
    make, least = MATRIX[name]
    wrong: list[str] = []
    names: set[str] = set()
    for cell in make():
        names.add(cell.name)
        path = tmp_path / "a"
        path.write_bytes(cell.content)
        try:
            decoded = decode(path)
        except UnreadableImage as error:
            wrong.append(f"{cell.name}: {error}")
            continue
        if (difference := cell.difference(decoded)) > 0:
            wrong.append(f"{cell.name}: differs by {difference:g}")
        if not cell.name.startswith("PNM P7"):
            assert set(header_size(path)) == set(cell.shown.shape), cell.name
    print(f"{name}: {len(names)} cells")
    assert not wrong, f"{len(wrong)} of {len(names)} cells:\n" + "\n".join(wrong[:40])
    assert len(names) >= least


@pytest.mark.parametrize(("height", "width"), [(0.1, 0.2), (0.3, 0.2), (0.143, 0.139)])
def test_pixels_become_square(height: float, width: float, tmp_path: Path):
    """Against Pillow's resampling of the stored picture."""
    (tmp_path / "a").write_bytes(dicom_files.spaced((height, width)))
    stored = film(4095).astype(np.float32)
    rows = round(HEIGHT * height / width) if height > width else HEIGHT
    columns = round(WIDTH * width / height) if width > height else WIDTH
    expected = Image.fromarray(stored).resize((columns, rows), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(decode(tmp_path / "a"), np.asarray(expected), atol=1)


@pytest.mark.parametrize(
    "tag", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"]
)
def test_every_tag_that_states_a_pixels_sides_counts(tag: str, tmp_path: Path):
    tags: dict[str, Any] = {"BitsStored": 12, tag: ["2", "1"]}
    (tmp_path / "a").write_bytes(dicom_files.dicom(film(4095), **tags))
    assert decode(tmp_path / "a").shape == (2 * HEIGHT, WIDTH)
