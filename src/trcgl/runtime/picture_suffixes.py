"""The suffixes of image files: a file listed as an image can also be found by its name without the suffix."""

FORMATS = {
    "png": ("png",),
    "jpg": ("jpg", "jpeg", "jpe", "jfif"),
    "tif": ("tif", "tiff"),
    "bmp": ("bmp", "dib"),
    "gif": ("gif",),
    "webp": ("webp",),
    **{name: (name,) for name in ("jp2", "j2k", "j2c", "jpc", "jpx", "pnm", "pgm", "ppm", "pbm")},
    "dcm": ("dcm", "dicom", "dic", "ima"),
    # Formats that are not read; messages say so
    **{name: (name,) for name in ("heic", "heif", "hif", "avif", "jxl", "psd")},
}
"""The spellings of a format, without the point, by the one that stands for them."""
SUFFIXES = tuple(f".{name}" for names in FORMATS.values() for name in names)
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
"""What may come behind them."""
