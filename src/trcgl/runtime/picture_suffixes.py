"""The suffixes of image files: what is listed as an image is also found by a name without its suffix."""

FORMATS = {
    "png": ("png",),
    "jpg": ("jpg", "jpeg", "jpe", "jfif"),
    "tif": ("tif", "tiff"),
    "bmp": ("bmp", "dib"),
    "gif": ("gif",),
    "webp": ("webp",),
    **{name: (name,) for name in ("jp2", "j2k", "j2c", "jpc", "jpx", "pnm", "pgm", "ppm", "pbm")},
    "dcm": ("dcm", "dicom", "dic", "ima"),
    # Not read, and named as such
    **{name: (name,) for name in ("heic", "heif", "hif", "avif", "jxl", "psd")},
}
"""The spellings of a format, without the point, by the one that stands for them."""
SUFFIXES = tuple(f".{name}" for names in FORMATS.values() for name in names)
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
"""What may come behind them."""
