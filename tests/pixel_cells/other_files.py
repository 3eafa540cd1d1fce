"""BMP, GIF, WebP, JPEG 2000 and PNM."""

import io
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from tests.pixel_cells.cell import ORIENTATIONS, Cell, colours, exif, film, luma, saved, stored_as, xmp_orientations


def cells() -> Iterator[Cell]:
    grey, deep, rgb = film(255), film(65535), colours(255)
    alpha = np.dstack([rgb, np.full_like(grey, 255)])
    for name, picture, shown, within in (
        ("grey", Image.fromarray(grey), grey, 0),
        ("RGB", Image.fromarray(rgb), luma(rgb), 1),
        ("RGB and alpha", Image.fromarray(alpha), luma(rgb), 1),
        ("palette", Image.fromarray(rgb).quantize(64), None, 1),
        ("two levels", Image.fromarray(grey > 128), (grey > 128) * 255, 0),
    ):
        if shown is None:
            shown = luma(np.asarray(picture.convert("RGB")))
        for kind, options in (
            ("BMP", {}), ("GIF", {}), ("WEBP", {"lossless": True}), ("WEBP", {"quality": 80}),
            ("JPEG2000", {"irreversible": False}), ("JPEG2000", {"irreversible": False, "no_jp2": True}),
        ):  # fmt: skip
            if kind == "JPEG2000" and picture.mode not in ("L", "RGB", "RGBA"):
                continue
            if kind == "GIF" and picture.mode in ("RGB", "RGBA"):
                continue
            content = saved(picture, kind, **options)
            right, near = shown, within
            if options.get("quality"):
                with Image.open(io.BytesIO(content)) as image:
                    right, near = luma(np.asarray(image.convert("RGB"))), 1
            elif kind == "WEBP" and picture.mode == "L":
                near = 1
            yield Cell(f"{kind} {name} {options}", content, right, near)
            yield Cell(f"{kind} {name} {options}, bytes behind", content + bytes(range(99)), right, near)
    for orientation in ORIENTATIONS:
        stored = Image.fromarray(stored_as(rgb, orientation))
        content = saved(stored, "WEBP", lossless=True, exif=b"Exif\0\0" + exif(orientation))
        yield Cell(f"WEBP, EXIF {orientation}", content, luma(rgb), 1)
        for how, xmp in xmp_orientations(orientation):
            yield Cell(f"WEBP, {how}", saved(stored, "WEBP", lossless=True, xmp=xmp), luma(rgb), 1)
    for bare in (False, True):
        content = saved(deep, "JPEG2000", irreversible=False, no_jp2=bare)
        yield Cell(f"JPEG2000 grey 16, bare {bare}", content, deep)
        rgb_16 = colours(65535)
        done, written = cv2.imencode(".jp2", rgb_16[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
        assert done
        yield Cell("JPEG2000 RGB 16", written.tobytes(), luma(rgb_16), 2)
        content = saved(grey, "JPEG2000", irreversible=False, no_jp2=bare, tile_size=(16, 16))
        yield Cell(f"JPEG2000 tiles, bare {bare}", content, grey)
    yield from _pnm()


def _pnm() -> Iterator[Cell]:
    size = b"%d %d\n" % (film(1).shape[1], film(1).shape[0])
    for top in (1, 100, 255, 1023, 4095, 65535):
        grey, rgb = film(top), colours(top)
        kind = ">u2" if top > 255 else ">u1"
        head = b"# made by hand\n" + size + b"%d\n" % top
        yield Cell(f"PNM P5 {top}", b"P5\n" + head + grey.astype(kind).tobytes(), grey, 1, True)
        yield Cell(f"PNM P6 {top}", b"P6\n" + head + rgb.astype(kind).tobytes(), luma(rgb), 2, True)
        alpha = np.full_like(grey, top)
        for name, pixels, right in (
            ("BLACKANDWHITE" if top == 1 else "GRAYSCALE", grey, grey),
            ("GRAYSCALE_ALPHA", np.dstack([grey, alpha]), grey),
            ("RGB", rgb, luma(rgb)),
            ("RGB_ALPHA", np.dstack([rgb, alpha]), luma(rgb)),
            ("", rgb, luma(rgb)),
        ):
            depth = pixels.size // grey.size
            text = f"P7\n# made by hand\nWIDTH 52\nHEIGHT 40\nDEPTH {depth}\nMAXVAL {top}\n"
            text += f"TUPLTYPE {name}\nENDHDR\n" if name else "ENDHDR\n"
            yield Cell(f"PNM P7 {name} {top}", text.encode() + pixels.astype(kind).tobytes(), right, 2, True)
        yield Cell(
            f"PNM P3 {top}", b"P3\n" + head + b" ".join(b"%d" % value for value in rgb.ravel()), luma(rgb), 2, True
        )
        yield Cell(f"PNM P2 {top}", b"P2\n" + head + b" ".join(b"%d" % value for value in grey.ravel()), grey, 1, True)
    bits = film(1)
    # 1 is black
    padded = np.pad(1 - bits, ((0, 0), (0, -bits.shape[1] % 8)))
    yield Cell("PNM P4", b"P4\n" + size + np.packbits(padded, axis=1).tobytes(), bits, 0, True)
    yield Cell("PNM P1", b"P1\n" + size + b" ".join(b"%d" % (1 - value) for value in bits.ravel()), bits, 0, True)
