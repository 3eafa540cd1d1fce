"""`trcgl predict`: write a table and overlays for image files. Unreadable files are counted, the others processed."""

import glob
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from trcgl.images.kinds import is_image
from trcgl.inference.files import find_images
from trcgl.inference.overlays import SIDE, OverlayWriter, common_folder, overlay_folder
from trcgl.inference.pretrained import TRCGLNet, check_some_read, log, log_left_out
from trcgl.inference.tables import Writer, check_table_path, csv_writer, table_writer
from trcgl.runtime.errors import InputError
from trcgl.runtime.output_paths import check_output, check_output_folder


@dataclass(frozen=True)
class Request:
    """What to predict, and where to write the results.

    Attributes:
        model: folder of a saved classifier.
        images: files, folders and patterns.
        out: file of the table; None: CSV on stdout.
        overlays: folder of the overlays; None: none are drawn.
        likeliest: number of findings per image with an overlay; None: the positive ones.
        device: as `compute.device`.
        batch_size: images per forward pass.
        inverted: whether air is bright in the images.
    """

    model: Path
    images: Sequence[str]
    out: Path | None
    overlays: Path | None
    likeliest: int | None
    device: str
    batch_size: int
    inverted: bool


def predict_files(request: Request) -> None:
    """Write the table and the overlays of every image that can be read.

    Raises:
        InputError: the request cannot be fulfilled (an existing table stays as it was); or, after everything else is
            written, some images could not be read.
    """
    if request.out is None and sys.stdout is None:
        raise InputError("standard output is closed, and the rows would be lost; give a file by --out")
    if request.out is not None:
        check_table_path(request.out)
        check_output(request.out, "--out", {"--model": request.model})
        if request.out.is_file() and is_image(request.out):
            raise InputError(f"{request.out}: is an image, and would be overwritten; give another name for --out")
    if request.overlays is not None:
        check_output_folder(request.overlays, "--overlays")
    found = find_images(request.images)
    log_left_out(found)
    paths = found.images
    if request.out is not None and os.path.realpath(request.out) in {os.path.realpath(path) for path in paths}:
        raise InputError(f"{request.out}: is given as an image, and would be overwritten; give another name for --out")
    if request.overlays is not None:
        _check_overlays(request.overlays, request, paths)
    if request.overlays is not None and _lies_among(request.overlays, request.images):
        log.warning("%s lies among the images: another run would read the overlays as images", request.overlays)
    model = TRCGLNet.from_pretrained(request.model, device=request.device)
    overlays = _overlays(request, model, paths)
    unreadable = positives = 0
    with _table(request.out, model) as write:
        sizes = () if overlays is None else (SIDE,)
        for batch in model.score(paths, batch_size=request.batch_size, also=sizes, inverted=request.inverted):
            unreadable += len(batch.read.unreadable)
            rows = model.rows(batch)
            positives += int(rows["positive"].sum())
            write(rows)
            if overlays is not None:
                overlays.write(batch)
        check_some_read(paths, len(paths) - unreadable)
    drawn = "" if overlays is None else f", {overlays.count} overlays in {request.overlays}"
    log.info("%d images, %d positive findings%s", len(paths) - unreadable, positives, drawn)
    said = [f"{unreadable} of {len(paths)} images could not be read"] if unreadable else []
    if found.closed:
        said.append(f"{len(found.closed)} {'path' if len(found.closed) == 1 else 'paths'} could not be opened")
    if said:
        raise InputError(f"{', '.join(said)}; the others are done")


def _check_overlays(folder: Path, request: Request, paths: Sequence[Path]) -> None:
    """Check that the overlays do not go into the model's folder or beside input images, and do not overwrite any.

    Raises:
        InputError: they do.
    """

    def wrong(what: str) -> InputError:
        return InputError(f"{folder}: {what}; give another name for --overlays")

    place = Path(os.path.realpath(folder))
    if place.is_relative_to(os.path.realpath(request.model)):
        raise wrong("lies in the model's folder")
    if request.out is not None and place.is_relative_to(os.path.realpath(request.out)):
        raise wrong("is given for --out as well")
    parents, root = {path.parent for path in paths}, common_folder(paths)
    images, read = {os.path.realpath(parent) for parent in parents}, {os.path.realpath(path) for path in paths}
    names = {path.name for path in paths}
    for beside in {overlay_folder(folder, parent, root) for parent in parents}:
        if os.path.realpath(beside) in images:
            raise wrong(f"overlays would come into {beside}, beside the images that are read")
        for file in beside.iterdir() if beside.is_dir() else ():
            # An overlay's name consists of its image's name, a finding and a suffix
            is_link = file.name.rsplit(".", 2)[0] in names and file.is_symlink()
            if is_link and os.path.realpath(file) in read:
                raise wrong(f"{file} is a link to an image that is read, and would be overwritten")


def _lies_among(folder: Path, arguments: Sequence[str]) -> bool:
    """Whether another run with the same arguments would find the overlays, in a folder or by a pattern of any depth."""
    place = Path(os.path.realpath(folder))
    searched = [Path(given) for given in arguments if Path(given).is_dir()]
    for pattern in (Path(given) for given in arguments if "**" in Path(given).parts and not os.path.lexists(given)):
        searched.append(Path(*takewhile(lambda part: not glob.has_magic(part), pattern.parts)))
    return any(place.is_relative_to(os.path.realpath(one)) for one in searched)


def _overlays(request: Request, model: TRCGLNet, paths: Sequence[Path]) -> OverlayWriter | None:
    if request.overlays is None:
        return None
    try:
        return OverlayWriter(request.overlays, model, paths, request.likeliest)
    except OSError as error:
        raise InputError(f"{request.overlays}: cannot be made ({error.strerror}); give a folder") from None


@contextmanager
def _table(out: Path | None, model: TRCGLNet) -> Iterator[Writer]:
    empty = model.no_rows()
    if out is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # UTF-8 as in a file, whatever the locale, so that a name with unusual characters does not lose the rows
            sys.stdout.reconfigure(encoding="utf-8")
        yield csv_writer(sys.stdout, empty)
        return
    try:
        with table_writer(out, empty) as write:
            yield write
    except OSError as error:
        raise InputError(
            f"{error.filename or out}: cannot be written ({error.strerror}); give another name for --out"
        ) from None
