"""The preparation of a small classifier, and image files of every kind that it reads."""

from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from trcgl.artifacts.preparation import Preparation

PREPARATION = Preparation(2.0, 97.0, "pad")


def noise(seed: int, height: int = 50, width: int = 40, top: int = 4096) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top, (height, width)).astype(np.uint16 if top > 256 else np.uint8)


def write_dicom(path: Path, pixels: np.ndarray, photometric: str = "MONOCHROME2") -> pydicom.Dataset:
    """Write a radiograph of 12 stored bits with a window; returns its dataset."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PhotometricInterpretation = photometric
    dataset.RescaleSlope, dataset.RescaleIntercept = "2", "-100"
    dataset.WindowCenter, dataset.WindowWidth = "3000", "4000"
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def mixed_folder(folder: Path) -> list[str]:
    """Six readable and two unreadable images, and two other files; returns the readable names in order."""
    (folder / "deep").mkdir(parents=True)
    Image.fromarray(noise(0)).save(folder / "b16.png")
    Image.fromarray(noise(1, top=256)).save(folder / "a8.PNG")
    Image.fromarray(noise(2, top=256)).save(folder / "c.jpg")
    write_dicom(folder / "deep" / "d.dcm", noise(3))
    write_dicom(folder / "deep" / "1.2.840.7", noise(4), "MONOCHROME1")
    write_dicom(folder / "deep" / "IM0001", noise(5))
    (folder / "deep" / "empty.png").write_bytes(b"")
    (folder / "deep" / "text.jpg").write_text("not a picture")
    (folder / "deep" / "notes").write_text("not an image: has no suffix and no magic number")
    (folder / "report.txt").write_text("not an image")
    return ["a8.PNG", "b16.png", "c.jpg", "deep/1.2.840.7", "deep/IM0001", "deep/d.dcm"]
