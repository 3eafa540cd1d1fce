"""Compressed DICOM pixels: check that there is a decoder and that the frame agrees with the tags.

Pixels in a form that pydicom cannot handle are converted to a form that it can.
"""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian

from trcgl.images.dicom_streams import JPEG, RLE, Stream, check_stream, is_rle, stated
from trcgl.images.dicom_syntax import is_encapsulated
from trcgl.images.dicom_values import window_exceeds
from trcgl.images.jpeg import checked_pixels, read_header
from trcgl.images.unreadable import UnreadableImage, check_frames

WRAPPED = "1.2.840.10008.1.2.1.98"
"""Encapsulated Uncompressed Explicit VR Little Endian."""
JPEG_8_BIT = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51")
"""First bytes of a compressed frame: JPEG and JPEG-LS, JPEG 2000."""
END = b"\xff\xd9"
OF_JPEG_2000 = ("YBR_ICT", "YBR_RCT")
RGB_NAMES = tuple(b"RGB")
ADOBE_RGB = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"
"""The marker of a JPEG whose components are red, green and blue."""


def unpack_uncompressed(dataset: Dataset) -> None:
    """Unwrap, in place, uncompressed pixels that are encapsulated like compressed ones."""
    if dataset.file_meta.TransferSyntaxUID != WRAPPED:
        return
    if is_encapsulated(dataset.PixelData):
        dataset.PixelData = b"".join(_fragments(dataset))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def check_compressed(dataset: Dataset, columns: int, rows: int) -> None:
    """Raise UnreadableImage unless there is exactly one frame that agrees with the tags, and a decoder for it."""
    syntax = dataset.file_meta.TransferSyntaxUID
    decoder = _decoder(syntax)
    if not is_encapsulated(dataset.PixelData):
        raise UnreadableImage(
            f"DICOM in the transfer syntax {_name(syntax)} whose pixels are not compressed; export it again"
        )
    twelve = syntax == JPEG_8_BIT[1] and int(dataset.get("BitsStored") or 0) > 8
    fragments = _fragments(dataset)
    frame = b"".join(fragments)
    if twelve or syntax not in JPEG_8_BIT:
        _check_end(frame)
    # Pillow reads 8 bits only
    if not set(decoder.available_plugins) - ({"pillow"} if twelve else set()):
        raise UnreadableImage(
            f"pixels compressed as {_name(syntax)}{' of 12 bits' if twelve else ''}, for which no decoder is "
            f"installed; `pip install {'pylibjpeg pylibjpeg-libjpeg' if twelve else _package(decoder)}` brings one"
        )
    check_frames(sum(_starts_frame(part, syntax) for part in fragments))
    check_stream(frame, syntax, columns, rows, int(dataset.get("SamplesPerPixel") or 1))
    photometric = str(dataset.get("PhotometricInterpretation") or "").strip().upper()
    if photometric.startswith("YBR_FULL") and stated(frame).to_rgb:
        raise UnreadableImage(f"DICOM of {photometric} by its tags, of RGB by its compressed picture")
    if syntax in JPEG_8_BIT and not twelve:
        # pydicom's decoder does not reject damaged data, so they are checked here
        checked_pixels(frame)
        _name_colours(dataset, frame)
        # In some archives, the tags still state the 16 bits from before the lossy compression, or their sign; a JPEG
        # of 8 bits has no negative values
        bits = int(dataset.get("BitsStored") or 8)
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        if bits > 8 and dataset.get("SamplesPerPixel") == 1 and window_exceeds(dataset):
            raise UnreadableImage(f"DICOM whose tags state {bits} bits and a window for them, but its JPEG has 8")


def with_sign(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Decoded values with the sign that the compressed frame states.

    Raises:
        UnreadableImage: the tags state another sign, and the values have no meaning that fits both.
    """
    stream = own_stream(dataset)
    if stream.kind != "JPEG 2000":
        return values
    by_tags = bool(dataset.get("PixelRepresentation"))
    if stream.signed and not by_tags:
        # The decoder has added half the range to signed values, and relies on the tags for subtracting it again
        if values.min() < 2 ** (stream.bits - 1):
            raise UnreadableImage("DICOM of unsigned values by its tags, of negative ones by its compressed picture")
        return values - 2 ** (stream.bits - 1)
    # The decoder reads the upper half of the range as negative. Some frames are meant so
    if by_tags and not stream.signed and values.min() < 0:
        unsigned = values.astype(np.int64) % 2**stream.bits
        if roughness(unsigned) >= roughness(values):
            return values
        raise UnreadableImage("DICOM of signed values by its tags, of unsigned ones by its compressed picture")
    return values


def roughness(values: np.ndarray) -> float:
    """Sum of the absolute differences between neighbours; a wrong reading of a picture has more edges."""
    wide = values.astype(np.float64)
    return float(np.abs(np.diff(wide, axis=0)).sum() + np.abs(np.diff(wide, axis=1)).sum())


def own_stream(dataset: Dataset) -> Stream:
    """What the compressed frame itself states."""
    return stated(b"".join(_fragments(dataset)))


def _fragments(dataset: Dataset) -> list[bytes]:
    # The first item is the offset table
    return list(generate_fragments(dataset.PixelData))[1:]


def _name(syntax: UID) -> str:
    return syntax.name.split(" (")[0]


def _decoder(syntax: UID) -> Decoder:
    try:
        return get_decoder(syntax)
    except NotImplementedError:  # pydicom's answer to a syntax that none of its decoders knows
        raise UnreadableImage(
            f"DICOM in the transfer syntax {_name(syntax)}, for which there is no decoder; export it uncompressed"
        ) from None


def _package(decoder: Decoder) -> str:
    """The pip package that provides a decoder: of those that pydicom can use, the one that supports most syntaxes."""
    wanted = " ".join(decoder.missing_dependencies)
    return "python-gdcm" if "gdcm" in wanted else "pylibjpeg pylibjpeg-openjpeg"


def _starts_frame(fragment: bytes, syntax: UID) -> bool:
    """Whether a fragment is the start of a frame; a frame may be split into several fragments."""
    if syntax == RLE:
        return is_rle(fragment)
    return fragment.startswith(STARTS)


def _check_end(frame: bytes) -> None:
    """Raise UnreadableImage if a JPEG or JPEG-LS lacks its end. Some decoders would fill the picture with grey.

    Behind the end, writers may add a byte to make the length even.
    """
    if frame.startswith(JPEG) and not frame.rstrip(b"\0\xff").endswith(END):
        raise UnreadableImage("truncated JPEG (no end marker)")


def _name_colours(dataset: Dataset, frame: bytes) -> None:
    """State, in place, the colour space of a JPEG without a colour space marker, in a form that pydicom understands.

    Without such a marker pydicom relies on the tag, which often still names the colour space before compression. Here
    the colour space is derived from the components.
    """
    if (photometric := str(dataset.get("PhotometricInterpretation") or "").strip().upper()) in OF_JPEG_2000:
        raise UnreadableImage(f"DICOM in JPEG with the photometric interpretation {photometric}, which is of JPEG 2000")
    header = read_header(frame)
    if len(header.components) != 3 or header.names_colours:
        return
    if header.components == RGB_NAMES:
        dataset.PixelData = encapsulate([frame[:2] + ADOBE_RGB + frame[2:]])
        dataset.PhotometricInterpretation = "RGB"
    elif len(set(header.sampling)) > 1:
        # Different sampling means YBR: brightness is sampled more finely than colour
        dataset.PhotometricInterpretation = "YBR_FULL_422"
