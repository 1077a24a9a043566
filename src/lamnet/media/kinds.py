"""Kinds of files that are no pictures of ours, by their first bytes, so that a refusal can say so."""

from __future__ import annotations

import re

_RAW = "a camera's raw data; develop it first (darktable, RawTherapee)"
_KINDS = (
    (rb"II(?:RO|RS)|MMOR|IIU\0|FUJIFILMCCD-RAW|FOVb|\0MRM|.{4}ftypcrx ", _RAW),
    (rb"%PDF-", "a PDF; take its pictures out first (pdfimages)"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (
        rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE svg[^>]*>\s*)?<svg",
        "an SVG, which has no pixels: render it larger",
    ),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<!DOCTYPE html|<html|<head|<\?xml)", "a page of the web or XML"),
    (
        rb".{4}ftyp(?:isom|iso[2-9]|mp4|avc1|qt  |M4V |3gp|dash)|\x1a\x45\xdf\xa3|RIFF.{4}AVI |FLV\x01",
        "a video under a picture's name",
    ),
    (rb"8BPS\0\x02", "a Photoshop PSB"),
    (rb"gimp xcf", "a GIMP picture; export it first"),
    (rb"P7\nWIDTH|P7\n#", "a PAM; make it a PPM or PNG first (pamtopng)"),
    (rb"farbfeld", "a farbfeld"),
    (rb"SIMPLE  =", "FITS"),
    (rb"\x89HDF", "HDF5"),
    (rb".{128}DICM", "DICOM"),
    (rb"II\xbc[\x00\x01]", "JPEG XR"),
    (rb"\x97JB2", "JBIG2"),
    (rb"AT&TFORM", "DjVu"),
    (rb"icns", "an Apple icon"),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "a Windows metafile"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd", "a compressed file; unpack it first"),
    (rb"\x93NUMPY", "an array of NumPy"),
    (rb"version https://git-lfs", "a pointer of Git LFS; fetch the file first (git lfs pull)"),
)
START = 256  # bytes that are looked at


def kind_of(start: bytes) -> str:
    """Return what a file is that begins so, in words that follow "found"."""
    if not start:
        return "an empty file"
    if not start.strip(b"\0"):
        return "zeros"
    for signature, words in _KINDS:
        if re.match(signature, start, re.DOTALL | re.IGNORECASE):
            return words
    return "a file of another kind"
