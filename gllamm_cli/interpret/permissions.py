"""What scripts may do to the machine: read anything, write below some folders, no shell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gllamm_cli.errors import FileExists, NotPermitted


@dataclass(frozen=True, slots=True)
class Permissions:
    """Folders below which files may be written, besides the working directory; the shell."""

    folders: tuple[Path, ...] = ()
    shell: bool = False
    home: Path | None = None
    """The folder to write in; None for the working directory of the moment."""

    def pinned(self) -> Permissions:
        """Return permissions that stay when the working directory changes."""
        return self if self.home is not None else replace(self, home=Path.cwd().resolve())

    def with_folder(self, folder: Path) -> Permissions:
        """Return permissions that include a folder."""
        return replace(self, folders=(*self.folders, folder))

    def check_write(self, file: str, *, overwrite: bool = True) -> Path:
        """Return the path of a file to be written.

        Raises
        ------
        NotPermitted
            It lies outside the permitted folders.
        FileExists
            It is there and may not be replaced.
        """
        path = Path(file).expanduser()
        target = path.resolve()
        home = self.home or Path.cwd().resolve()
        allowed = [home, *(folder.resolve() for folder in self.folders)]
        if not any(target.is_relative_to(folder) for folder in allowed):
            raise NotPermitted(
                f"writing {file} is refused: it lies outside the working directory",
                hint="--allow-write DIR permits a folder",
            )
        if path.exists() and not overwrite:
            raise FileExists(f"file {file} already exists", hint="the option replace overwrites it")
        return path
