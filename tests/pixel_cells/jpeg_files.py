"""JPEG files of every colour space, sampling and process that Pillow writes."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from tests.pixel_cells.cell import ORIENTATIONS, Cell, colours, exif, film, luma, saved, stored_as, xmp_orientations


def _kinds() -> Iterator[tuple[str, Image.Image, dict[str, object]]]:
    yield "grey", Image.fromarray(film(255)), {}
    for sampling, number in (("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)):
        yield f"colour {sampling}", Image.fromarray(colours(255)), {"subsampling": number}
    yield "RGB", Image.fromarray(colours(255)), {"keep_rgb": True}
    yield "CMYK", Image.fromarray(colours(255)).convert("CMYK"), {}


def cells() -> Iterator[Cell]:
    processes: dict[str, dict[str, object]] = {
        "baseline": {},
        "progressive": {"progressive": True},
        "optimised": {"optimize": True},
        "restarts": {"restart_marker_blocks": 3},
    }
    for name, picture, options in _kinds():
        for process, more in processes.items():
            for orientation in (None, *ORIENTATIONS):
                pixels = stored_as(np.asarray(picture), orientation or 1)
                tags = b"" if orientation is None else b"Exif\0\0" + exif(orientation)
                stored = Image.fromarray(pixels, mode=picture.mode)
                content = saved(stored, "JPEG", quality=95, exif=tags, **options, **more)
                title = f"JPEG {name}, {process}, EXIF {orientation}"
                yield Cell(title, content, _by_pillow(content), 0 if name == "grey" else 1)
                for how, xmp in xmp_orientations(orientation) if orientation and process == "baseline" else ():
                    without = saved(stored, "JPEG", quality=95, **options)
                    body = b"http://ns.adobe.com/xap/1.0/\0" + xmp
                    part = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
                    marked = without[:2] + part + without[2:]
                    yield Cell(f"JPEG {name}, {how}", marked, _by_pillow(content), 0 if name == "grey" else 1)
                yield Cell(f"{title}, bytes behind", content + b"\xff\0\xd8" * 99, _by_pillow(content), 1)


def _by_pillow(content: bytes) -> np.ndarray:
    """What Pillow shows; its decoder is a libjpeg-turbo of its own."""
    with Image.open(io.BytesIO(content)) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode == "L":
            return np.asarray(upright)
        return luma(np.asarray(upright.convert("RGB")))
