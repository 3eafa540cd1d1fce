"""The transfer syntaxes in which tests write DICOM files, by short names."""

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

IMPLICIT, EXPLICIT = ImplicitVRLittleEndian, ExplicitVRLittleEndian
DEFLATED, BIG_ENDIAN = DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian
JPEG_2000, JPEG, RLE = JPEG2000Lossless, JPEGBaseline8Bit, RLELossless
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
"""Those whose pixels are not compressed."""
