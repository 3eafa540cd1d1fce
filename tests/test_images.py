"""Decoding, windowing, resizing and the cache, against Pillow and NumPy."""

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.input_cases.images import damaged_png
from tests.pixel_cells.dicom_files import dicom
from tests.pixel_cells.tiff_files import Tiff, tiff
from tests.shipped import SHIPPED
from trcgl.artifacts.shards import ShardedImages, ShardWriter
from trcgl.images import cache
from trcgl.images.cache import cache_images
from trcgl.images.decode import UnreadableImage, decode, header_size
from trcgl.images.manifest import scan_images
from trcgl.images.preparation import Preparation
from trcgl.images.quiet import quiet_libraries
from trcgl.images.resize import resize_square, window_to_uint8
from trcgl.runtime.errors import InputError
from trcgl.runtime.workers import pixel_workers

PARAMS = replace(SHIPPED.images, classifier_size=32, diffusion_size=48, resize="pad", window_low=0.5, window_high=99.5)


def picture(height: int = 60, width: int = 40, *, top: int = 65535, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, top + 1, (height, width))
    return values.astype(np.uint16 if top > 255 else np.uint8)


@pytest.mark.parametrize("top", [255, 65535])
def test_png_equals_pillow(tmp_path: Path, top: int):
    path = tmp_path / "a.png"
    Image.fromarray(picture(top=top)).save(path)
    with Image.open(path) as image:
        expected = np.asarray(image)
    decoded = decode(path)
    assert decoded.dtype == (np.uint16 if top > 255 else np.uint8)
    np.testing.assert_array_equal(decoded, expected)
    assert header_size(path) == (40, 60)


def test_monochrome1_is_inverted(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.fromarray(picture()).save(path)
    np.testing.assert_array_equal(decode(path, inverted=True), 65535 - decode(path))


def test_rgba_and_jpeg_become_grey(tmp_path: Path):
    grey = picture(top=255)
    rgba = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), grey)
    smooth = cv2.GaussianBlur(grey, (0, 0), 3)
    Image.fromarray(smooth).save(tmp_path / "b.jpg", quality=98)
    assert np.abs(decode(tmp_path / "b.jpg").astype(int) - smooth).max() <= 4
    assert header_size(tmp_path / "b.jpg") == (40, 60)


def _damaged(kind: str, path: Path) -> None:
    Image.fromarray(picture()).save(path)
    data = path.read_bytes()
    contents = {
        "empty": b"",
        "truncated": data[: len(data) // 2],
        "text": b"this is no picture",
        "flipped": data[:60] + bytes(b ^ 255 for b in data[60:90]) + data[90:],
    }
    path.write_bytes(contents[kind])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("empty", "empty file"), ("truncated", "truncated PNG"), ("text", "not a PNG"), ("flipped", "damaged")],
)
def test_a_damaged_file_has_a_reason(tmp_path: Path, kind: str, reason: str):
    _damaged(kind, tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match=reason):
        decode(tmp_path / "a.png")


def test_other_unusable_files_have_a_reason(tmp_path: Path):
    with pytest.raises(UnreadableImage, match="cannot be read"):
        decode(tmp_path / "missing.png")
    Image.fromarray(np.full((40, 40), 7, np.uint8)).save(tmp_path / "flat.png")
    with pytest.raises(UnreadableImage, match="single grey level"):
        decode(tmp_path / "flat.png")
    bomb = bytearray(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00")
    (tmp_path / "bomb.png").write_bytes(bytes(bomb))
    with pytest.raises(UnreadableImage, match="60000 x 60000 pixels"):
        decode(tmp_path / "bomb.png")


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "image_dfl.dcm"])
def test_dicom_equals_pydicom(name: str):
    """Against pydicom's own display pipeline on the files it ships."""
    import pydicom
    from pydicom.data import get_testdata_file
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    path = get_testdata_file(name, download=False)
    assert path is not None
    dataset = pydicom.dcmread(str(path))
    expected = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        expected = expected.max() - expected
    np.testing.assert_array_equal(decode(str(path)), expected)
    assert header_size(str(path)) == (dataset.Columns, dataset.Rows)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("examples_ybr_color.dcm", "30 frames"),
        ("MR_truncated.dcm", "DICOM pixels cut short: 8130 bytes of 8192"),
        ("rtplan.dcm", r"DICOM without pixels \(RT Plan\)"),
        ("no_meta.dcm", "not a PNG, JPEG, TIFF, DICOM"),
    ],
)
def test_a_dicom_file_without_a_radiograph_has_a_reason(name: str, reason: str):
    from pydicom.data import get_testdata_file

    path = get_testdata_file(name, download=False)
    assert path is not None
    with pytest.raises(UnreadableImage, match=reason):
        decode(str(path))


@pytest.mark.parametrize("top", [255, 4095, 65535])
def test_window_is_the_percentile_window(top: int):
    pixels = picture(200, 300, top=top)
    low, high = np.percentile(pixels, (0.5, 99.5), method="nearest")
    expected = np.clip((pixels.astype(float) - low) / (high - low) * 255, 0, 255)
    # One grey level of the input is at most 1/(high - low) of the range
    assert np.abs(window_to_uint8(pixels, 0.5, 99.5) - expected).max() <= 0.5 + 255 / (high - low) + 1e-6


def test_window_of_an_almost_flat_image_keeps_what_is_there():
    pixels = np.zeros((100, 100), np.uint16)
    pixels[50, 50] = 1000
    assert window_to_uint8(pixels, 0.5, 99.5)[50, 50] == 255


def test_resize_keeps_the_aspect_ratio():
    pixels = np.full((200, 100), 200, np.uint8)
    padded = resize_square(pixels, 64, "pad")
    assert padded.shape == (64, 64)
    assert (padded[:, 16:48] == 200).all()
    assert (padded[:, :16] == 0).all()
    assert (padded[:, 48:] == 0).all()
    assert (resize_square(pixels, 64, "crop") == 200).all()


def test_a_file_is_seen_from_python_as_pillow_pads_it(tmp_path: Path):
    pixels = picture(60, 60, top=255)
    pixels[0, 0], pixels[0, 1] = 0, 255
    Image.fromarray(pixels[:, :40]).save(tmp_path / "a.png")
    square, half = Preparation(window_low=0.0, window_high=100.0, resize="pad").read(tmp_path / "a.png", [60, 30])
    canvas = Image.new("L", (60, 60))
    canvas.paste(Image.fromarray(pixels[:, :40]), (10, 0))
    np.testing.assert_array_equal(square, np.asarray(canvas))
    np.testing.assert_allclose(half, np.asarray(canvas.reduce(2), dtype=float), atol=1)
    with pytest.raises(UnreadableImage):
        Preparation(0.0, 100.0, "pad").read(tmp_path / "missing.png", [60])


@pytest.mark.parametrize(
    ("low", "high", "resize", "said"),
    [
        (0.5, 99.5, "padd", "'resize' is 'padd'; it must be one of: pad, crop"),
        (99.5, 0.5, "pad", "'window_low' is 99.5 and 'window_high' 0.5; they must be percentiles from 0 to 100"),
        (0.5, 995, "pad", "'window_high' 995"),
    ],
)
def test_a_preparation_that_means_nothing_stops(low: float, high: float, resize: str, said: str):
    with pytest.raises(InputError, match=said):
        Preparation(low, high, resize)


def test_shards_round_trip_in_any_order(tmp_path: Path):
    images = {f"i{k}": picture(32, 32, top=255, seed=k) for k in range(10)}
    writer = ShardWriter(tmp_path, 32, 4)
    for name, pixels in images.items():
        writer.add(name, pixels)
    writer.close()
    shards = ShardedImages(tmp_path)
    assert len(shards) == 10
    assert sorted(p.name for p in tmp_path.glob("*.npy")) == [f"shard-{k:05d}.npy" for k in range(3)]
    names = list(images)[::-1]
    np.testing.assert_array_equal(shards.read(names), np.stack([images[n] for n in names]))


def test_the_index_changes_with_any_pixel_and_does_not_depend_on_an_interruption(tmp_path: Path):
    images = {f"i{k}": picture(32, 32, top=255, seed=k) for k in range(10)}

    def index(folder: str, pixels: dict[str, np.ndarray], *, again_from: int = 0) -> bytes:
        (tmp_path / folder).mkdir(exist_ok=True)
        writer = ShardWriter(tmp_path / folder, 32, 4, list(pixels)[:again_from])
        for name in list(pixels)[again_from:]:
            writer.add(name, pixels[name])
        writer.close()
        return (tmp_path / folder / "index.parquet").read_bytes()

    whole = index("whole", images)
    assert index("whole", images, again_from=8) == whole
    changed = images["i9"].copy()
    changed[3, 5] ^= 1
    assert index("changed", images | {"i9": changed}) != whole
    checksums = ShardedImages(tmp_path / "whole").index["crc32"]
    assert checksums.tolist() == [zlib.crc32(pixels.tobytes()) for pixels in images.values()]


def test_an_empty_folder_of_shards_can_be_read(tmp_path: Path):
    ShardWriter(tmp_path, 32, 4).close()
    assert len(ShardedImages(tmp_path)) == 0


def _image_set(folder: Path) -> pd.DataFrame:
    folder.mkdir()
    for k in range(9):
        Image.fromarray(picture(50 + k, 40, seed=k)).save(folder / f"{k}.png")
    _damaged("truncated", folder / "3.png")
    _damaged("empty", folder / "7.png")
    names = [f"{k}.png" for k in range(9)]
    return pd.DataFrame({"image": names, "path": names, "photometric": ["MONOCHROME1"] + ["MONOCHROME2"] * 8})


def test_cache_counts_every_image_and_does_not_depend_on_the_workers(tmp_path: Path):
    selected = _image_set(tmp_path / "source")
    for workers in (1, 2):
        out, kept = tmp_path / f"cache{workers}", tmp_path / "kept"
        cache_images(selected, tmp_path / "source", PARAMS, out, workers, kept=kept)
        assert not kept.exists()
    one, two = tmp_path / "cache1", tmp_path / "cache2"
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    assert all((one / f).read_bytes() == (two / f).read_bytes() for f in files)

    unreadable = pd.read_parquet(one / "unreadable.parquet")
    small, large = ShardedImages(one / "classifier"), ShardedImages(one / "diffusion")
    assert set(unreadable["path"]) == {"3.png", "7.png"}
    assert len(small) + len(unreadable) == len(selected)
    assert (small.size, large.size) == (32, 48)
    expected = resize_square(window_to_uint8(decode(tmp_path / "source/5.png"), 0.5, 99.5), 48, "pad")
    np.testing.assert_array_equal(large.read(["5.png"])[0], expected)
    inverted = decode(tmp_path / "source/0.png", inverted=True)
    expected = resize_square(window_to_uint8(inverted, 0.5, 99.5), 32, "pad")
    np.testing.assert_array_equal(small.read(["0.png"])[0], expected)


@pytest.mark.parametrize("damaged", [None, "shard", "record"])
def test_a_killed_cache_goes_on_after_its_last_whole_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str | None
):
    """Two shards of two images were full, of which the second may have been damaged by a crash of the machine."""
    monkeypatch.setattr(cache, "SHARD_IMAGES", 2)
    params = PARAMS
    selected, whole, again = _image_set(tmp_path / "source"), tmp_path / "whole", tmp_path / "again"
    cache_images(selected, tmp_path / "source", params, whole, 1, kept=tmp_path / "kept")
    read, decoded = cache.read_squares, []

    def dies(path: Path, *args: Any, **more: Any) -> list[np.ndarray]:
        decoded.append(path.name)
        if path.name == "6.png" and len(decoded) < 8:
            raise KeyboardInterrupt
        return read(path, *args, **more)

    monkeypatch.setattr(cache, "read_squares", dies)
    with pytest.raises(KeyboardInterrupt):
        cache_images(selected, tmp_path / "source", params, again, 1, kept=tmp_path / "kept")
    if damaged == "shard":
        shard = tmp_path / "kept/diffusion/shard-00001.npy"
        shard.write_bytes(shard.read_bytes()[:-1])
    if damaged == "record":
        (tmp_path / "kept/shard-00001.json").write_text("{")
    decoded.extend("........")
    cache_images(selected, tmp_path / "source", params, again, 1, kept=tmp_path / "kept")
    # 3.png and 7.png cannot be read: the shards are 0 1, 2 4, 5 6, 8
    assert decoded[15:] == [f"{k}.png" for k in range(5 if damaged is None else 2, 9)]
    files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert all((whole / f).read_bytes() == (again / f).read_bytes() for f in files)


def damaged_jpeg(path: Path) -> bytes:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90)).astype(np.uint8)).save(path, "JPEG")
    content = path.read_bytes()
    return content[:900] + b"\xff\xd4" + content[902:]


def damaged_tiff(path: Path) -> bytes:
    content = tiff(picture(top=255), Tiff(compression=5))
    return content[:400] + b"\xff" * 40 + content[440:]


def odd_dicom(path: Path) -> bytes:
    """It can be read, but pydicom warns of the unknown encoding of its text."""
    content = dicom(picture(), SpecificCharacterSet="ISO_IR 100", PatientName="a")
    return content.replace(b"ISO_IR 100", b"ISO_IR 999")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (damaged_png, "damaged image data"),
        (damaged_jpeg, "damaged JPEG data (premature end of data segment)"),
        (damaged_tiff, "damaged image data (decoder error -2)"),
        (odd_dicom, None),
    ],
)
@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.filterwarnings("ignore:Unknown encoding")
def test_a_damaged_image_is_our_line_only(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    content: Callable[[Path], bytes],
    reason: str | None,
    threads: int,
):
    """The libraries' own lines name no file; those of others pass, and stderr is what it was afterwards."""
    path = tmp_path / "a.png"
    path.write_bytes(content(path))

    def read() -> str | None:
        try:
            decode(path)
        except UnreadableImage as error:
            return str(error)
        return None

    if threads:
        with ThreadPoolExecutor(threads) as pool:
            reads = []
            for k in range(20):
                reads.append(pool.submit(read))
                os.write(2, f"{k}\n".encode())
                # Else one thread that is put to sleep in the middle of its line takes all of these along
                time.sleep(0.002)
        assert {done.result() for done in reads} == {reason}
    else:
        assert read() == reason
    os.write(2, b"still there")
    said = [f"{k}" for k in range(20 if threads else 0)]
    heard = [line for line in capfd.readouterr().err.split("\n") if line]
    assert set(heard) <= {*said, "still there"}
    assert heard[-1] == "still there" or threads
    # What a thread writes in the middle of a library's line goes with it; that is rare
    assert len(heard) >= 0.5 * (len(said) + 1)


def test_only_lines_of_the_libraries_are_dropped(capfd: pytest.CaptureFixture[str]):
    ours = ["ERROR: batch 4 could not be uploaded", "Batch: 4", "ValueError: x", "Epoch: 1", "OMP: Warning #96"]
    theirs = [
        "libpng warning: iCCP", "tempfile.tif: Cannot handle zero strip size", "TIFFReadDirectory: Warning, tag 700",
        "_TIFFVSetField: a.tif: Null count", "JPEGLib: Warning", "LZWDecode: Not enough data", "Fax3Decode1D: Bad code",
        "MissingRequired: TIFF directory is missing", "ZIPDecode: Decoding error",
        'PredictorSetup: "Predictor" value 7', "OJPEGReadHeaderInfo: Unknown",
    ]  # fmt: skip
    with quiet_libraries():
        os.write(2, "\n".join([*ours, *theirs, ""]).encode())
    assert capfd.readouterr().err.splitlines() == ours


def test_libraries_say_nothing_to_the_user(tmp_path: Path):
    """In a process of its own: the tests' own filters for warnings are not a user's."""
    (tmp_path / "a").write_bytes(odd_dicom(tmp_path))
    (tmp_path / "b").write_bytes(damaged_tiff(tmp_path))
    code = "import sys; from trcgl.images.decode import decode; decode(sys.argv[1]); decode(sys.argv[2])"
    command = [sys.executable, "-c", code, str(tmp_path / "a"), str(tmp_path / "b")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[0].startswith("Traceback")
    assert "UnreadableImage: damaged image data" in done.stderr.splitlines()[-1]


def test_a_killed_worker_is_one_line(tmp_path: Path):
    killed = pytest.raises(InputError, match=r"one of 1 worker processes was killed.*lower 'compute\.workers'")
    with killed, pixel_workers(1) as pool:
        pool.submit(os._exit, 9).result()


def test_a_set_without_one_readable_image_stops_and_keeps_the_old_cache(tmp_path: Path):
    selected = _image_set(tmp_path / "source")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "old").touch()
    with pytest.raises(InputError, match="none of 2 images could be read"):
        cache_images(selected.iloc[[3, 7]], tmp_path / "source", PARAMS, tmp_path / "cache", 1, kept=tmp_path / "kept")
    assert {p.name for p in tmp_path.iterdir()} == {"source", "cache", "kept"}
    assert (tmp_path / "cache" / "old").exists()


def test_scan_lists_images_only(tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    Image.fromarray(picture()).save(tmp_path / "b" / "2.png")
    Image.fromarray(picture()).save(tmp_path / ".hidden" / "3.png")
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "labels.csv").write_text("a,b\n")
    manifest = scan_images(tmp_path)
    assert list(manifest["path"]) == ["1.png", "b/2.png"]
    assert list(manifest["bytes"]) == [0, (tmp_path / "b" / "2.png").stat().st_size]
    assert manifest["width"].isna().tolist() == [True, False]


def test_a_file_that_cannot_be_opened_does_not_stop_the_scan(tmp_path: Path):
    Image.fromarray(picture()).save(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "absent.png")
    manifest = scan_images(tmp_path)
    assert list(manifest["path"]) == ["1.png", "2.png"]
    assert manifest["bytes"].tolist()[1] == 0
    with pytest.raises(UnreadableImage, match=r"cannot be read: No such file"):
        decode(tmp_path / "2.png")


def test_scan_of_a_missing_or_empty_folder_is_one_line(tmp_path: Path):
    with pytest.raises(InputError, match="no such folder"):
        scan_images(tmp_path / "none")
    with pytest.raises(InputError, match="no image inside"):
        scan_images(tmp_path)


def test_the_window_of_floats_is_the_percentile_window():
    """Of DICOM, too, whose greys are floats."""
    pixels = picture(200, 300, top=4095).astype(np.float32) / 7 - 100
    low, high = np.percentile(pixels, (2, 97))
    expected = np.clip((pixels - low) / (high - low) * 255, 0, 255)
    assert np.abs(window_to_uint8(pixels, 2.0, 97.0) - expected).max() <= 0.51
