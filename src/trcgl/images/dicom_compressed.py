"""Compressed DICOM pixels: whether there is a decoder, and whether the frame is what the tags say.

What pydicom does not know how to take is brought into a form that it knows.
"""

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian

from trcgl.images.dicom_streams import RLE, check_stream, is_rle, stated
from trcgl.images.dicom_syntax import is_encapsulated
from trcgl.images.jpeg import checked_pixels, read_header
from trcgl.images.unreadable import UnreadableImage, check_frames

WRAPPED = "1.2.840.10008.1.2.1.98"
"""Encapsulated Uncompressed Explicit VR Little Endian."""
JPEG_8_BIT = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51")
"""Of a compressed frame: JPEG and JPEG-LS, JPEG 2000."""
RGB_NAMES = tuple(b"RGB")
ADOBE_RGB = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"
"""The marker by which a JPEG says that its components are red, green and blue."""


def unpack_uncompressed(dataset: Dataset) -> None:
    """In place: pixels that are not compressed, but wrapped up like compressed ones, as plain ones."""
    if dataset.file_meta.TransferSyntaxUID != WRAPPED:
        return
    if is_encapsulated(dataset.PixelData):
        dataset.PixelData = b"".join(_fragments(dataset))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def check_compressed(dataset: Dataset, columns: int, rows: int) -> None:
    """Raise UnreadableImage unless there is one frame, as the tags say it is, and a decoder for it."""
    syntax = dataset.file_meta.TransferSyntaxUID
    decoder = _decoder(syntax)
    if not is_encapsulated(dataset.PixelData):
        raise UnreadableImage(
            f"DICOM in the transfer syntax {_name(syntax)} whose pixels are not compressed; export it again"
        )
    twelve = syntax == JPEG_8_BIT[1] and int(dataset.get("BitsStored") or 0) > 8
    # Pillow reads 8 bits only
    if not set(decoder.available_plugins) - ({"pillow"} if twelve else set()):
        raise UnreadableImage(
            f"pixels compressed as {_name(syntax)}{' of 12 bits' if twelve else ''}, for which no decoder is "
            f"installed; `pip install {_package(decoder)}` brings one"
        )
    fragments = _fragments(dataset)
    check_frames(sum(_starts_frame(part, syntax) for part in fragments))
    frame = b"".join(fragments)
    check_stream(frame, syntax, columns, rows, int(dataset.get("SamplesPerPixel") or 1))
    if syntax in JPEG_8_BIT and not twelve:
        # pydicom's decoder shows what is left of damaged data
        checked_pixels(frame)
        _name_colours(dataset, frame)
        # Some archives keep the 16 bits that there were before lossy compression
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7


def signed_bits(dataset: Dataset) -> int:
    """Of a value whose compressed frame is signed, though the tags say otherwise; 0 if they do not contradict."""
    if dataset.get("PixelRepresentation") or "JPEG 2000" not in dataset.file_meta.TransferSyntaxUID.name:
        return 0
    stream = stated(b"".join(_fragments(dataset)))
    return stream.bits if stream.signed else 0


def _fragments(dataset: Dataset) -> list[bytes]:
    # The first is the table of offsets
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
    """What brings a decoder: of those that pydicom can use, the one that knows most of its kind."""
    wanted = " ".join(decoder.missing_dependencies)
    return "python-gdcm" if "gdcm" in wanted else "pylibjpeg pylibjpeg-openjpeg"


def _starts_frame(fragment: bytes, syntax: UID) -> bool:
    """A frame may be cut into several fragments."""
    if syntax == RLE:
        return is_rle(fragment)
    return fragment.startswith(STARTS)


def _name_colours(dataset: Dataset, frame: bytes) -> None:
    """In place: what a JPEG without a marker of its colour space tells by its components, in words of pydicom's.

    Without such a marker pydicom goes by the tag, which often still names the space before compression.
    """
    header = read_header(frame)
    if len(header.components) != 3 or header.names_colours:
        return
    if header.components == RGB_NAMES:
        dataset.PixelData = encapsulate([frame[:2] + ADOBE_RGB + frame[2:]])
        dataset.PhotometricInterpretation = "RGB"
    elif len(set(header.sampling)) > 1:
        # Only brightness is kept finer than the rest
        dataset.PhotometricInterpretation = "YBR_FULL_422"
