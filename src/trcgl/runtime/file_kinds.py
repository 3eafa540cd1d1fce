"""Recognise files and encodings that users give instead of a CSV file in UTF-8, by their first bytes."""

import codecs
import re

OTHER_MAGICS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"BZh": "packed by bzip2; unpack it",
    b"\xfd7zXZ": "packed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it",
    b"PAR1": "a Parquet file; save it as CSV",
    b"version https://git-lfs": "a Git LFS pointer; `git lfs pull` fetches the file",
    b"<!DOCTYPE": "a web page, such as a server's error message; download the file again",
    b"<!doctype": "a web page, such as a server's error message; download the file again",
    b"<html": "a web page, such as a server's error message; download the file again",
    b"{\\rtf": "a text of a word processor (RTF); save the table as CSV",
    b"<?xml": "XML; save it as CSV",
    b"\x89PNG": "an image; give the CSV file itself",
    b"\xff\xd8\xff": "an image; give the CSV file itself",
    b"GIF8": "an image; give the CSV file itself",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
    b"\x89HDF": "an HDF5 file; export the table as CSV",
    b"\x93NUMPY": "a NumPy array; save the table as CSV",
    b"ARROW1": "an Arrow (Feather) file; save it as CSV",
    b"7z\xbc\xaf": "packed by 7-Zip; unpack it",
    b"Rar!": "packed by RAR; unpack it",
    b"+/v": "text in UTF-7; save it as UTF-8",
    b"{": "JSON; save it as CSV",
    b"[": "JSON; save it as CSV",
    b"%PDF": "a PDF document; give the CSV file itself",
    b"$FL2": "an SPSS file; export the table as CSV",
    b"$FL3": "an SPSS file; export the table as CSV",
    b"<stata_dta>": "a Stata file; export the table as CSV",
    **{bytes([version, 2, 1, 0]): "a Stata file; export the table as CSV" for version in (113, 114, 115)},
    b"HEADER RECORD*******": "a SAS transport file; export the table as CSV",
    b"\x00" * 12 + b"\xc2\xea\x81\x60": "a SAS file; export the table as CSV",
    **{b"RDX%d\n" % version: "an R workspace; save the table as CSV" for version in (2, 3)},
    b"X\n\x00\x00\x00": "an R object (RDS); save the table as CSV",
    b"MATLAB 5.0 MAT-file": "a MATLAB file; save the table as CSV",
    **{bytes([0x80, protocol]): "a Python pickle; save the table as CSV" for protocol in (2, 3, 4, 5)},
}
"""First bytes, and what the file is and what to do."""
# UTF-32 comes first, because its byte order mark begins with that of UTF-16
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
EBCDIC = "cp037"
UTF_7 = re.compile(r"\+A[A-Za-z0-9+/]{2,}-")
"""A sign other than a letter of English, a digit and a few more, as UTF-7 writes it."""
ENOUGH = 3


def encoding_of(head: bytes) -> str:
    """The encoding that the byte order mark states; UTF-8 if there is none."""
    return next((name for mark, name in MARKS if head.startswith(mark)), "utf-8")


def other_encoding(head: bytes) -> str | None:
    """The probable encoding of text that is not in UTF-8, and what to do; None if no known encoding fits.

    Args:
        head: the first bytes of the text.
    """
    # English text in UTF-16 has a null in every other byte
    if head[:200:2].count(0) > 40 or head[1:200:2].count(0) > 40:
        return "seems to be UTF-16 text without a byte order mark (BOM); save it as UTF-8"
    line = re.split("[\x85\n]", head[:2000].decode(EBCDIC))[0]
    if line.isprintable() and sum(sign.isascii() and sign.isalnum() for sign in line) > len(line) / 2:
        return "seems to be EBCDIC text, of a mainframe; save it as UTF-8"
    return None


def seems_utf_7(text: str, head: bytes) -> bool:
    """Whether text that was decoded as another encoding is in UTF-7, which consists of ASCII characters only.

    Args:
        text, head: the beginning of the file, as text and as bytes.
    """
    return len(UTF_7.findall(text)) >= ENOUGH and "\ufffd" not in head.decode("utf-7", errors="replace")
