"""Writing what strangers named: safe names, never over what is there, whole or not at all.

In:     names from packages; a folder.
Out:    names that are free among themselves; a sink for `packing.read` that fills a new folder.
Fails:  Rejected (`file.exists`) before anything is written.
Never:  writes outside the folder, follows a link in it, leaves half a file behind.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from gateway.errors import Rejected, Text
from gateway.packing.names import safe_name


def free_names(names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Safe names, no two alike: `a.pdf`, `a (2).pdf`. Compared without case, as Windows does."""
    used = {name.casefold() for name in taken}
    free = []
    for declared in names:
        name = safe_name(declared)
        stem, dot, ext = name.rpartition(".")
        number = 1
        candidate = name
        while candidate.casefold() in used:
            number += 1
            candidate = f"{stem} ({number}).{ext}" if dot and stem else f"{name} ({number})"
        used.add(candidate.casefold())
        free.append(candidate)
    return free


class StagedFolder:
    """A sink for `packing.read`: files lie under their numbers until all names are known."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, index: int, name: str) -> BinaryIO:
        """A new file each time it is asked: the earlier content is void."""
        del name  # the final one stands in the FileFact
        return self.path(index).open("wb")

    def path(self, index: int) -> Path:
        return self.folder / str(index)


@contextlib.contextmanager
def staged(target: Path) -> Iterator[StagedFolder]:
    """A private folder on the same disk as `target`, gone afterwards whatever happens.

    So is `target` itself, when it was made here and nothing came to stand in it.
    """
    made = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    folder = target / f".unpacking-{secrets.token_hex(6)}"
    folder.mkdir(mode=0o700)
    try:
        yield StagedFolder(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):
                target.rmdir()


def publish(target: Path, files: Sequence[tuple[Path, str]]) -> None:
    """Give staged files their names in `target`: all of them, or none when one is taken."""
    taken = [name for _, name in files if os.path.lexists(target / name)]
    if taken:
        raise exists(target / taken[0])
    done: list[Path] = []
    try:
        for source, name in files:
            os.link(source, target / name)  # a link never replaces, a rename would
            done.append(target / name)
    except FileExistsError:
        for path in done:
            path.unlink(missing_ok=True)
        raise exists(target) from None
    except BaseException:  # Ctrl-C as well: nothing half done stays
        for path in done:
            path.unlink(missing_ok=True)
        raise


def exists(path: Path) -> Rejected:
    return Rejected(
        Text(f"{path} đã có, không ghi đè", f"{path} exists and is not written over"),
        code="file.exists",
    )


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears whole under its name, or not at all; one that exists is refused."""
    if os.path.lexists(path):
        raise exists(path)
    part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x+b") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.link(part, path)
    except FileExistsError:
        raise exists(path) from None
    except OSError as error:  # told under the name that the caller knows
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
