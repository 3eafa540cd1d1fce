"""Image files whose pixels would not be shown right: each tag or field that is not honoured, and damaged data."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from tests.input_cases.case import CACHE, Case
from tests.input_cases.images import image
from tests.pixel_cells.cell import colours, exif, film, saved
from tests.pixel_cells.dicom_files import dicom, halves, relabelled, table
from tests.pixel_cells.png_files import GREY, RGB, SIGNATURE, chunk, png
from tests.pixel_cells.syntaxes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG, JPEG_2000, RLE
from tests.pixel_cells.tiff_files import SHORT, Tiff, tiff

GREY_8, GREY_16, COLOUR = film(255), film(4095), colours(255)
Kind = tuple[str, Callable[[], bytes], str]


def _dicom(**tags: Any) -> Callable[[], bytes]:
    values: dict[str, Any] = {"BitsStored": 12} | tags
    return lambda: dicom(GREY_16, **values)


def _tiff(pixels: np.ndarray, **how: Any) -> Callable[[], bytes]:
    return lambda: tiff(pixels, Tiff(**how))


def _lut(**changes: Any) -> Dataset:
    item = table(np.arange(256), 16)
    for name, value in changes.items():
        setattr(item, name, value)
    return item


def _palette(**changes: Any) -> Callable[[], bytes]:
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        tags[f"{name}PaletteColorLookupTableData"] = bytes(range(256))
    return lambda: dicom(GREY_8, **(tags | changes))


def _renamed(real: UID, declared: UID) -> Callable[[], bytes]:
    return lambda: relabelled(dicom(GREY_16, real, BitsStored=12), declared)


def _tags(change: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    """A TIFF with an orientation tag, changed."""

    def content() -> bytes:
        whole = tiff(GREY_8, Tiff(tags={274: (SHORT, [6])}))
        entry = struct.pack("<HHI", 274, SHORT, 1)
        start = whole.index(entry)
        return whole[:start] + change(whole[start : start + 12]) + whole[start + 12 :]

    return content


def _exif_in_words() -> bytes:
    """An orientation tag of text."""
    return exif(6).replace(struct.pack(">HHI", 274, SHORT, 1), struct.pack(">HHI", 274, 2, 1))


def _without_middle(content: bytes, end: bytes = b"") -> bytes:
    return content[: len(content) // 2] + end


def _holed(content: bytes) -> bytes:
    return content[: len(content) // 2] + content[len(content) // 2 + 150 :]


def _changed(content: bytes, place: int, value: bytes) -> bytes:
    return content[:place] + value + content[place + len(value) :]


def _jpeg(**options: Any) -> bytes:
    return saved(COLOUR, "JPEG", quality=95, **options)


def _first_scans(content: bytes) -> bytes:
    """A progressive JPEG that ends, in good order, before its last scan."""
    return content[: content.rindex(b"\xff\xda")] + b"\xff\xd9"


def _odd_sampling() -> bytes:
    """Red in full, green in half, blue in full."""
    content = _jpeg(keep_rgb=True)
    return _changed(content, content.index(b"\xff\xc0") + 14, b"\x21")


def _twelve_bits() -> bytes:
    content = _jpeg()
    return _changed(content, content.index(b"\xff\xc0") + 4, b"\x0c")


def _jpeg_ls() -> bytes:
    content = saved(GREY_8, "JPEG")
    return _changed(content, content.index(b"\xff\xc0"), b"\xff\xf7")


def _pam(*lines: str, content: bytes = GREY_8.tobytes()) -> Callable[[], bytes]:
    return lambda: "\n".join(["P7", *lines, "ENDHDR", ""]).encode() + content


def _compressed(frames: list[bytes]) -> Callable[[], bytes]:
    def content() -> bytes:
        return dicom(GREY_8, JPEG, PixelData=encapsulate(frames))

    return content


def _wrapped(syntax: str) -> Callable[[], bytes]:
    """In a transfer syntax of compressed pixels."""
    return lambda: dicom(GREY_16, UID(syntax), BitsStored=12, PixelData=encapsulate([b"\0\0\1\xb3" + bytes(96)]))


def _no_syntax() -> bytes:
    """Compressed pixels, and no head that says how."""
    content = dicom(GREY_8, JPEG)
    return content[144 + int.from_bytes(content[140:144], "little") :]


def _thumbnail_first() -> bytes:
    return tiff(GREY_8[::2, ::2], Tiff(tags={254: (SHORT, [1])}), (GREY_8, Tiff()))


def _animated(kind: str) -> Callable[[], bytes]:
    return lambda: saved(GREY_8, kind, save_all=True, append_images=[Image.fromarray(GREY_8[::-1])])


def _see_through() -> bytes:
    alpha = np.where(np.arange(GREY_8.size).reshape(GREY_8.shape) % 3, 255, 90)
    return saved(np.dstack([COLOUR, alpha.astype(np.uint8)]), "PNG")


def _png_without_chunk() -> bytes:
    """Of four chunks of data the third is missing; each of those left is whole."""
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in GREY_8))
    parts = [packed[k : k + len(packed) // 4 + 1] for k in range(0, len(packed), len(packed) // 4 + 1)]
    header = struct.pack(">IIBBBBB", GREY_8.shape[1], GREY_8.shape[0], 8, GREY, 0, 0, 0)
    chunks = [chunk(b"IDAT", part) for k, part in enumerate(parts) if k != 2]
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND")


def _tiff_with_jpeg() -> bytes:
    """Of which the middle is missing."""
    content = saved(COLOUR, "TIFF", compression="jpeg")
    with Image.open(io.BytesIO(content)) as picture:
        assert isinstance(picture, TiffImageFile)
        place, length = picture.tag_v2[273][0], picture.tag_v2[279][0]
    middle = place + length // 2
    return _changed(content, middle, b"\xff\xd9" + b"\0" * (length // 2 - 2))


def _big_endian_bigtiff() -> bytes:
    entries = [
        (256, GREY_8.shape[1]),
        (257, GREY_8.shape[0]),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 16),
        (279, GREY_8.size),
    ]
    tags = b"".join(struct.pack(">HHQQ", tag, 16, 1, value) for tag, value in entries)
    head = b"MM\0+" + struct.pack(">HHQ", 8, 0, 16 + GREY_8.size)
    return head + GREY_8.tobytes() + struct.pack(">Q", len(entries)) + tags + bytes(8)


def _damaged_strip(compression: int) -> Callable[[], bytes]:
    def content() -> bytes:
        whole = tiff(GREY_8, Tiff(compression=compression))
        return _changed(whole, 400, b"\xff" * 40)

    return content


UNKNOWN_TABLE = "it must be three whole numbers"
DICOM_FILES: tuple[Kind, ...] = (
    ("DICOM in another byte order than its transfer syntax", _renamed(BIG_ENDIAN, EXPLICIT), "DICOM in the transfer syntax Explicit VR Little Endian that is written as explicit, big-endian; export it again"),
    ("DICOM that is not deflated, though its transfer syntax is", _renamed(EXPLICIT, DEFLATED), "DICOM in the transfer syntax Deflated Explicit VR Little Endian that is written as explicit, little-endian; export it again"),
    ("DICOM that is deflated, though its transfer syntax is not", _renamed(DEFLATED, IMPLICIT), "DICOM in the transfer syntax Implicit VR Little Endian that is written as deflated; export it again"),
    ("DICOM that is compressed, though its transfer syntax is not", _renamed(RLE, EXPLICIT), "DICOM in the transfer syntax Explicit VR Little Endian whose pixels are compressed; export it again"),
    ("DICOM that is not compressed, though its transfer syntax is", _renamed(EXPLICIT, RLE), "DICOM in the transfer syntax RLE Lossless whose pixels are not compressed; export it again"),
    ("DICOM whose head is damaged", lambda: dicom(GREY_16)[:150] + bytes(999), "DICOM whose data are neither tags nor deflated tags: its head (group 2) may be damaged"),
    ("DICOM of a head alone", lambda: halves(dicom(GREY_16))[0], "DICOM with nothing behind its head (group 2)"),
    ("DICOM in a retired colour space", _dicom(PhotometricInterpretation="HSV"), "DICOM with the photometric interpretation 'HSV'; MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB and YBR_FULL are read"),
    ("DICOM without a photometric interpretation", _dicom(PhotometricInterpretation=None), "DICOM with the photometric interpretation ''; ..."),
    ("DICOM in RGB of one sample", _dicom(PhotometricInterpretation="RGB"), "DICOM of 1 samples per pixel, which contradicts RGB"),
    ("DICOM in grey of three samples", lambda: dicom(COLOUR, PhotometricInterpretation="MONOCHROME2"), "DICOM of 3 samples per pixel, which contradicts MONOCHROME2"),
    ("DICOM palette missing", _dicom(PhotometricInterpretation="PALETTE COLOR"), "DICOM in PALETTE COLOR without its palette"),
    ("DICOM palettes of several lengths", _palette(RedPaletteColorLookupTableDescriptor=[128, 0, 8]), "DICOM palettes of red, green and blue that differ in length"),
    ("DICOM palette cut short", _palette(BluePaletteColorLookupTableData=b"\1" * 100), "DICOM table BluePaletteColorLookupTable of 256 entries has 100 bytes"),
    ("DICOM presentation that contradicts", _dicom(PresentationLUTShape="INVERSE"), "DICOM tag PresentationLUTShape 'INVERSE' contradicts MONOCHROME2: which end is dark is unknown"),
    ("DICOM presentation that contradicts, MONOCHROME1", _dicom(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="IDENTITY"), "DICOM tag PresentationLUTShape 'IDENTITY' contradicts MONOCHROME1: which end is dark is unknown"),
    ("DICOM presentation table", _dicom(PresentationLUTSequence=[_lut()]), "DICOM with a PresentationLUTSequence, which is not read; export it as shown"),
    ("DICOM window function unknown", _dicom(VOILUTFunction="CUBIC", WindowCenter="5", WindowWidth="6"), "DICOM tag VOILUTFunction is 'CUBIC'; it must be LINEAR, LINEAR_EXACT or SIGMOID"),
    ("DICOM window that is text", lambda: dicom(GREY_16, WindowCenter="2047", WindowWidth="4095").replace(b"2047", b"wide"), "DICOM tag WindowCenter is 'wide'; it must be a number such as 2047.5"),
    ("DICOM window with a comma that may be a thousand's", lambda: dicom(GREY_16, WindowCenter="2.047", WindowWidth="4095").replace(b"2.047", b"2,047"), "DICOM tag WindowCenter is '2,047'; it must be a number such as 2047.5"),
    ("DICOM slope that is text", lambda: dicom(GREY_16, RescaleSlope="1.25", RescaleIntercept="0").replace(b"1.25", b"half"), "DICOM tag RescaleSlope is 'half'; it must be a number such as 2047.5"),
    ("DICOM slope that is infinite", lambda: dicom(GREY_16, RescaleSlope="1.2500", RescaleIntercept="0").replace(b"1.2500", b"1e9999"), "DICOM tag RescaleSlope is '1e9999'; it must be a number such as 2047.5"),
    ("DICOM slope that makes values infinite", lambda: dicom(GREY_16, RescaleSlope="1e300", RescaleIntercept="0"), "pixel values that are not finite"),
    ("DICOM slope without its intercept", _dicom(RescaleSlope="2", RescaleIntercept=None), "DICOM tag RescaleIntercept is missing beside RescaleSlope 2"),
    ("DICOM intercept without its slope", _dicom(RescaleSlope="", RescaleIntercept="-1024"), "DICOM tag RescaleSlope is missing beside RescaleIntercept -1024"),
    ("DICOM modality table cut short", _dicom(ModalityLUTSequence=[_lut(LUTData=b"\1" * 100)]), "DICOM table ModalityLUTSequence of 256 entries has 100 bytes"),
    ("DICOM VOI table without data", _dicom(VOILUTSequence=[_lut(LUTData=None)]), "DICOM tag VOILUTSequence has no table"),
    ("DICOM VOI table with half a description", _dicom(VOILUTSequence=[_lut(LUTDescriptor=[256, 0])]), f"DICOM tag LUTDescriptor is [256, 0]; {UNKNOWN_TABLE}"),
    ("DICOM pixels of no height", _dicom(PixelSpacing=["0", "0.1"]), "DICOM tag PixelSpacing is [...]; it must be a pixel's height and width"),
    ("DICOM pixels of fifty times their width", _dicom(PixelSpacing=["5", "0.1"]), "DICOM tag PixelSpacing is [...]; it must be a pixel's height and width"),
    ("DICOM bits that do not fit", _dicom(BitsStored=12, HighBit=5), "DICOM tags BitsStored 12, BitsAllocated 16 and HighBit 5 contradict each other"),
    ("DICOM, compressed, with shifted bits", lambda: dicom(GREY_16, JPEG_2000, BitsStored=12, HighBit=15), "compressed DICOM with HighBit 15 beside BitsStored 12; export it uncompressed"),
    ("DICOM with frames that it does not state", lambda: dicom(GREY_16, PixelData=GREY_16.tobytes() * 3), "3 frames; a radiograph has one"),
    ("DICOM, compressed, with frames that it does not state", _compressed([saved(GREY_8, "JPEG"), saved(GREY_8, "JPEG")]), "2 frames; a radiograph has one"),
    ("DICOM, compressed, of another width than its tags say", lambda: dicom(GREY_8, JPEG, Rows=52, Columns=40), "DICOM of 40 x 52 pixels by its tags, 52 x 40 by its compressed picture"),
    ("DICOM of JPEG 2000, of another width than its tags say", lambda: dicom(GREY_16, JPEG_2000, BitsStored=12, Rows=20, Columns=104), "DICOM of 104 x 20 pixels by its tags, 52 x 40 by its compressed picture"),
    ("DICOM whose transfer syntax is of another compression", lambda: dicom(GREY_8, JPEG_2000, PixelData=encapsulate([saved(GREY_8, "JPEG")])), "DICOM in the transfer syntax JPEG 2000 Image Compression whose pixels are JPEG"),
    ("DICOM without head, compressed", _no_syntax, "DICOM without a transfer syntax, and ... bytes of pixels where 2080 would be uncompressed; export it again with its file meta information"),
    ("DICOM whose JPEG lacks its middle", _compressed([_without_middle(saved(GREY_8, "JPEG", quality=100), b"\xff\xd9")]), "damaged JPEG data (premature end of data segment)"),
    ("DICOM whose JPEG 2000 is cut short", lambda: dicom(GREY_8, JPEG_2000, PixelData=encapsulate([_without_middle(saved(GREY_8, "JPEG2000", no_jp2=True))])), "DICOM pixels cannot be decoded: ..."),
    *(
        (f"DICOM of {name} whose file is cut short", lambda syntax=syntax: _without_middle(dicom(GREY_8, syntax)), "DICOM cut short in its pixels; copy it again")
        for name, syntax in (("JPEG", JPEG), ("JPEG 2000", JPEG_2000), ("RLE", RLE))
    ),
    ("DICOM of nothing but padding", _dicom(PixelPaddingValue=0, PixelPaddingRangeLimit=4095), "DICOM of nothing but padding values"),
    ("DICOM in a transfer syntax of films", _wrapped("1.2.840.10008.1.2.4.102"), "DICOM in the transfer syntax MPEG-4 AVC/H.264 High Profile / Level 4.1, for which there is no decoder; export it uncompressed"),
    ("DICOM in a retired transfer syntax", _wrapped("1.2.840.10008.1.2.4.53"), "DICOM in the transfer syntax JPEG Spectral Selection, Non-Hierarchical, for which there is no decoder; export it uncompressed"),
    ("DICOM in high-throughput JPEG 2000", _wrapped("1.2.840.10008.1.2.4.201"), "pixels compressed as High-Throughput JPEG 2000 Image Compression, for which no decoder is installed; `pip install pylibjpeg pylibjpeg-openjpeg` brings one"),
    ("DICOM of one sample by its tags, of three by its JPEG", lambda: dicom(GREY_8, JPEG, PixelData=encapsulate([_jpeg()])), "DICOM of 1 samples per pixel by its tags, 3 by its compressed picture"),
    ("DICOM of three samples by its tags, of one by its JPEG 2000", lambda: dicom(COLOUR, JPEG_2000, PixelData=encapsulate([saved(GREY_8, "JPEG2000", no_jp2=True)])), "DICOM of 3 samples per pixel by its tags, 1 by its compressed picture"),
    ("DICOM of unsigned values by its tags, of negative ones by its JPEG 2000", lambda: dicom(GREY_16, JPEG_2000, PixelData=encapsulate([saved(GREY_16 * np.uint16(16), "JPEG2000", irreversible=False, no_jp2=True, signed=True)])), "DICOM of unsigned values by its tags, of negative ones by its compressed picture"),
    ("DICOM in JPEG 2000 of 16 bits per colour", lambda: dicom(colours(65535), JPEG_2000, PixelData=encapsulate([cv2.imencode(".jp2", colours(65535))[1].tobytes()])), "DICOM in JPEG 2000 of 16 bits per colour; 8 are read: export it uncompressed"),
    *((f"DICOM with values in {bits} bits", _dicom(BitsAllocated=bits, PixelData=bytes(bits * 260)), f"DICOM tag BitsAllocated is {bits}; it must be one of: 1, 8, 16, 32, 64") for bits in (12, 24)),
    ("DICOM with a slope of 0", _dicom(RescaleSlope="0", RescaleIntercept="5"), "DICOM of one grey level after its modality look-up (slope 0)"),
    ("DICOM with a window beside its values", _dicom(WindowCenter="60000", WindowWidth="100"), "DICOM of one grey level after its VOI look-up (centre 60000, width 100): its values are 0 to 4095"),
    ("DICOM with a table of one grey", _dicom(VOILUTSequence=[table(np.zeros(256, int), 16)]), "DICOM of one grey level after its VOI look-up: its values are 0 to 4095"),
    ("DICOM with a shutter of an unknown shape", _dicom(ShutterShape="OVAL"), "DICOM tag ShutterShape is 'OVAL'; it must be one of: RECTANGULAR, CIRCULAR, POLYGONAL"),
    ("DICOM with a shutter without an edge", _dicom(ShutterShape="RECTANGULAR", ShutterLeftVerticalEdge="5"), "DICOM tag ShutterRightVerticalEdge is None; its shutter needs 1 number"),
    ("DICOM with a shutter of half a corner", _dicom(ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=["5", "6", "7"]), "DICOM tag VerticesOfThePolygonalShutter is [...]; its shutter needs pairs of row and column"),
    *(
        (f"DICOM without the tag {name}, {kind}", write, f"DICOM tag {name} is missing; the pixels need it")
        for kind, name, write in (
            ("grey", "SamplesPerPixel", _dicom(SamplesPerPixel=None)), ("grey", "PixelRepresentation", _dicom(PixelRepresentation=None)),
            ("colour", "SamplesPerPixel", lambda: dicom(COLOUR, SamplesPerPixel=None)), ("colour", "PlanarConfiguration", lambda: dicom(COLOUR, PlanarConfiguration=None)),
            ("JPEG", "SamplesPerPixel", lambda: dicom(COLOUR, JPEG, SamplesPerPixel=None)), ("RLE", "PixelRepresentation", lambda: dicom(GREY_8, RLE, PixelRepresentation=None)),
            ("JPEG 2000", "PixelRepresentation", lambda: dicom(GREY_8, JPEG_2000, PixelRepresentation=None)),
        )
    ),
    ("DICOM without a number of rows", _dicom(Rows=None), "DICOM tag Rows is missing; the pixels need it"),
)  # fmt: skip
FILES: tuple[Kind, ...] = (
    ("PNG without one of its chunks", _png_without_chunk, "damaged image data"),
    ("PNG that is animated", _animated("PNG"), "2 frames; a radiograph has one"),
    ("PNG that is transparent in places", _see_through, "transparent in places; save it without transparency"),
    ("PNG, grey, with a transparent grey", lambda: png(GREY_8, GREY, 8, before=chunk(b"tRNS", b"\0\x80")), "transparent in places; save it without transparency"),
    ("PNG, colour, with a transparent colour", lambda: png(COLOUR, RGB, 8, before=chunk(b"tRNS", struct.pack(">3H", *COLOUR[9, 9]))), "transparent in places; save it without transparency"),
    ("PNG whose orientation is damaged", lambda: png(GREY_8, GREY, 8, after=chunk(b"eXIf", exif(6))[:-4] + b"\0\0\0\0"), "damaged PNG (metadata that may hold the orientation)"),
    *(
        (f"{name} whose orientation is text", lambda write=write: write(_exif_in_words()), "damaged orientation tag (a whole number is right)")
        for name, write in (
            ("PNG", lambda tags: png(GREY_8, GREY, 8, after=chunk(b"eXIf", tags))),
            ("JPEG", lambda tags: saved(GREY_8, "JPEG", exif=b"Exif\0\0" + tags)), ("WebP", lambda tags: saved(COLOUR, "WEBP", lossless=True, exif=b"Exif\0\0" + tags)),
        )
    ),
    ("PNG without a header", lambda: SIGNATURE + chunk(b"IEND"), "damaged PNG (no header)"),
    ("JPEG without its middle", lambda: _without_middle(_jpeg(), b"\xff\xd9"), "damaged JPEG data (premature end of data segment)"),
    ("JPEG that lost some bytes", lambda: _holed(_jpeg(restart_marker_blocks=4)), "damaged JPEG data (...)"),
    ("JPEG, progressive, without its last scan", lambda: _first_scans(_jpeg(progressive=True)), "truncated JPEG (scans are missing)"),
    ("JPEG of unusual sampling", _odd_sampling, "JPEG whose colours are sampled in an unusual way; save it as PNG"),
    ("JPEG of 12 bits", _twelve_bits, "JPEG of 12 bits; 8 are read, so save it as 16-bit PNG or TIFF"),
    ("JPEG-LS", _jpeg_ls, "JPEG-LS, which is not read; save it as PNG"),
    ("JPEG without a picture", lambda: b"\xff\xd8\xff\xd9", "truncated JPEG (no picture in it)"),
    ("TIFF of several pages", lambda: tiff(GREY_8, Tiff(), (GREY_8[::-1], Tiff())), "2 pages; a radiograph has one"),
    ("TIFF of ImageJ, a stack with one page", lambda: saved(GREY_8, "TIFF", description="ImageJ=1.53t\nimages=30\nslices=30\n"), "30 pictures; a radiograph has one"),
    ("TIFF whose thumbnail comes first", _thumbnail_first, "its first page is a thumbnail; save the picture alone"),
    ("TIFF with a mask", lambda: tiff(GREY_8, Tiff(), (GREY_8 // 128, Tiff(bits=1, photometric=4, tags={254: (SHORT, [4])}))), "2 pages; a radiograph has one"),
    ("TIFF of a thumbnail alone, as in a camera's raw file", lambda: tiff(GREY_8, Tiff(tags={254: (SHORT, [1]), 330: (SHORT, [8])})), "its first page is a thumbnail; save the picture alone"),
    ("TIFF with a compression of another kind", lambda: tiff(GREY_8, Tiff(tags={259: (SHORT, [50000])})), "TIFF with compression 50000; save it with LZW, deflate or none"),
    *(
        (f"TIFF with a predictor beside compression {compression}", _tiff(GREY_8, predictor=2, compression=compression), f"TIFF with a predictor beside compression {compression}; save it with LZW or deflate")
        for compression in (1, 32773)
    ),
    ("TIFF with an unknown planar configuration", _tiff(COLOUR, photometric=2, tags={284: (SHORT, [3])}), "TIFF with planar configuration 3; it must be 1 or 2"),
    *(
        (f"TIFF whose {name} has {count} values", _tags(lambda entry, tag=tag, count=count: struct.pack("<HHI", tag, SHORT, count) + entry[8:]), f"damaged TIFF ({reason})")
        for name, tag, count, reason in (
            ("orientation", 274, 2, "2 values of its tag Orientation, which has one"), ("orientation", 274, 0, "0 values of its tag Orientation, which has one"),
            ("fill order", 266, 2, "2 values of its tag FillOrder, which has one"),
        )
    ),
    ("TIFF whose orientation is text", _tags(lambda entry: entry[:2] + struct.pack("<HI", 2, 1) + entry[8:]), "damaged TIFF (its tag Orientation is of type 2; whole numbers are right)"),
    ("TIFF with two tags of its compression", _tags(lambda entry: struct.pack("<HHI", 259, SHORT, 1) + entry[8:]), "damaged TIFF (two tags Compression)"),
    ("TIFF of 24 bits", _tiff(film(2**24 - 1), bits=24), "TIFF of 24-bit unsigned samples; save it with 8 or 16 bits"),
    ("TIFF of 16-bit floating-point samples", _tiff(GREY_16.astype(np.float16), sample_format=3), "TIFF of 16-bit floating-point samples; save it with 8 or 16 bits"),
    ("TIFF of 8-bit signed samples", _tiff(GREY_8.view(np.int8), sample_format=2), "TIFF of 8-bit signed samples; save it with 8 or 16 bits"),
    ("TIFF in L*a*b*", _tiff(COLOUR, photometric=8), "TIFF of CIE L*a*b*; save it as grey or RGB"),
    ("TIFF without a photometric interpretation", lambda: tiff(GREY_8).replace(struct.pack("<HH", 262, 3), struct.pack("<HH", 261, 3)), "TIFF without a photometric interpretation: black or white may be zero"),
    ("TIFF of 16-bit RGB in planes", _tiff(colours(65535), photometric=2, planar=2), "TIFF of 16-bit RGB in planes; save it with PlanarConfiguration 1, or as grey"),
    ("TIFF of CMYK without black", _tiff(COLOUR, photometric=5), "TIFF of 8-bit unsigned samples, 3 per colour pixel; save it as grey or as RGB of 8 or 16 bits"),
    ("TIFF of two samples of unknown meaning", _tiff(np.dstack([GREY_16, GREY_16])), "TIFF of 16-bit unsigned samples, 2 per grey pixel; save it with 1"),
    ("BigTIFF of 8 bits, big-endian", _big_endian_bigtiff, "big-endian BigTIFF of up to 8 bits; save it as plain TIFF"),
    ("TIFF that is cut short", lambda: saved(GREY_8, "TIFF")[:-1000], "truncated TIFF (...)"),
    ("TIFF whose strips are missing", lambda: tiff(GREY_8, Tiff(rows=50, tags={278: (SHORT, [5])})), "truncated TIFF (strips are missing)"),
    ("TIFF whose deflate data are damaged", _damaged_strip(8), "damaged TIFF (...)"),
    ("TIFF whose LZW data are damaged", _damaged_strip(5), "damaged image data (...)"),
    ("TIFF whose JPEG data lack their middle", _tiff_with_jpeg, "damaged JPEG data (...)"),
    ("TIFF with not-a-number", _tiff(np.where(GREY_8 > 200, np.nan, GREY_8).astype(np.float32), sample_format=3), "pixel values that are not finite"),
    ("GIF that is animated", _animated("GIF"), "2 frames; a radiograph has one"),
    ("WebP that is animated", _animated("WEBP"), "2 frames; a radiograph has one"),
    ("BMP cut short", lambda: _without_middle(saved(GREY_8, "BMP")), "damaged image data (...)"),
    ("GIF cut short", lambda: _without_middle(saved(GREY_8, "GIF")), "damaged image data (...)"),
    ("GIF cut short in its head", lambda: saved(GREY_8, "GIF")[:200], "damaged image data (cannot identify image file)"),
    ("WebP cut short", lambda: _without_middle(saved(COLOUR, "WEBP")), "damaged image data (...)"),
    ("JPEG 2000 cut short", lambda: _without_middle(saved(GREY_8, "JPEG2000")), "damaged image data (...)"),
    ("PGM cut short", lambda: _without_middle(saved(GREY_8, "PPM")), "damaged image data"),
    ("PGM of numbers cut short", lambda: b"P2 52 40 255 " + b"7 " * 999, "damaged PNM (numbers are missing)"),
    ("PGM with values above its largest", lambda: b"P5\n52 40\n99\n" + GREY_8.tobytes(), "damaged PNM (a value of 255 above its largest, 99)"),
    *(
        (f"{name}, two pictures", lambda write=write: write() * 2, "several pictures; a radiograph has one")
        for name, write in (
            ("PBM", lambda: b"P4\n# of a series\n52 40\n" + bytes(range(7)) * 40), ("PGM", lambda: b"P5 52 40 255\n" + GREY_8.tobytes()),
            ("PGM of 16 bits", lambda: b"P5\n52 40\n4095\n" + GREY_16.astype(">u2").tobytes()),
            ("PPM", lambda: b"P6\n52 40\n#\n255\n" + COLOUR.tobytes()),
            ("PAM", _pam("WIDTH 52", "HEIGHT 40", "DEPTH 1", "MAXVAL 255")),
        )
    ),
    ("PGM of no height", lambda: b"P2 52 0 255\n", "damaged PNM (a side of no length)"),
    ("PGM without a size", lambda: b"P5\n52 wide\n", "damaged PNM (its head has no size)"),
    ("PAM cut short", _pam("WIDTH 52", "HEIGHT 41", "DEPTH 1", "MAXVAL 255"), "damaged PNM (numbers are missing)"),
    ("PAM without a width", _pam("HEIGHT 40", "DEPTH 1", "MAXVAL 255"), "damaged PNM (its head has no size)"),
    ("PAM of no width", _pam("WIDTH 0", "HEIGHT 40", "DEPTH 1", "MAXVAL 255"), "damaged PNM (a side of no length)"),
    ("PAM with values above its largest", _pam("WIDTH 52", "HEIGHT 40", "DEPTH 1", "MAXVAL 99"), "damaged PNM (a value of 255 above its largest, 99)"),
    ("PAM in ink", _pam("WIDTH 26", "HEIGHT 20", "DEPTH 4", "MAXVAL 255", "TUPLTYPE CMYK"), "PAM of 4 samples of up to 255 (CMYK); save it as PNG"),
    ("a PDF document", lambda: b"%PDF-1.7\n", "a PDF document; export its picture as PNG"),
    ("a ZIP archive", lambda: b"PK\3\4\x14\0", "a ZIP archive; unpack it"),
    ("a file compressed by gzip", lambda: b"\x1f\x8b\x08\0", "compressed by gzip; unpack it"),
    ("a web page", lambda: b"<!DOCTYPE html><html>404", "a web page, such as a server's error message; download the image again"),
    ("a Git LFS pointer", lambda: b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer; `git lfs pull` fetches the image"),
    ("AVIF", lambda: saved(GREY_8, "AVIF"), "an AVIF, HEIC or film file; save it as PNG"),
    ("text named .dcm", lambda: b"no picture", "not a PNG, JPEG, TIFF, DICOM, JPEG 2000, WebP, BMP, GIF or PNM file; save it as PNG"),
)  # fmt: skip


def _cases() -> Iterator[Case]:
    for kinds, name in ((DICOM_FILES, "five.dcm"), (FILES, "five.png")):
        for what, content, seen in kinds:

            def written(path: Path, content: Callable[[], bytes] = content) -> bytes:
                return content()

            used = "five.dcm" if what.endswith(".dcm") else name
            yield Case("Pixels", what, CACHE, image(written, used), seen, counted=True)


PIXELS = tuple(_cases())
