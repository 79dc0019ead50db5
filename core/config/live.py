"""The operator's file while it changes: read again when it does, and kept as it was when it cannot be used.

Whoever holds this asks for `current` each time and gets one whole state. What may change while running is the caller's
matter: everything that is looked up in `current` when it is needed does, while a sandbox that was probed at start and
the secrets that a process redacts stay what they were until the next one.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from core.config.document import MAX_BYTES
from core.config.load import Config, config_files, load_config
from core.errors import BanksmanError

log = logging.getLogger(__name__)

_Seen = tuple[tuple[str, int, int, int], ...]


class LiveConfig:
    """One file, with the playbook files it names, and what it says now.

    Args:
        path: The operator's file.
        config: What it said at start.
        understood: Raises `BanksmanError` for a config that is read and yet cannot be used, such as a playbook with
            mistakes.
    """

    def __init__(
        self, path: Path, config: Config, understood: Callable[[Config], object] = lambda config: None
    ) -> None:
        self._path = path
        self._current = config
        self._understood = understood
        self._problem: str | None = None
        # Nothing has been seen yet: the first look finds what changed since `config` was read.
        self._files = config.files or (path,)
        self._seen: _Seen = ()
        self._settled = False
        self._content: str | None = None

    @property
    def current(self) -> Config:
        """The last state that could be used."""
        return self._current

    @property
    def problem(self) -> str | None:
        """Why the file as it is now is not the one that holds, with line and remedy; `None` = it is."""
        return self._problem

    def check(self) -> bool:
        """Look whether a file has changed, and take up what it says; blocks.

        Where nothing has changed, this is one `stat` for each file. A call must not overlap another one.

        Returns:
            Whether something else holds now.
        """
        seen = _look(self._files)
        if seen == self._seen and self._settled:
            return False
        # A file can change twice within one tick of the clock of its directory, so a change is looked at once more.
        self._settled = seen == self._seen
        self._seen = seen
        self._files = config_files(self._path)
        content = _content(self._files)
        if content == self._content:
            return False
        changed = self._take_up()
        # What was read may be something that stood there in between; then the next look reads again.
        same = _content(self._files) == content
        self._content, self._settled = (content, self._settled) if same else (None, False)
        return changed

    def _take_up(self) -> bool:
        try:
            found = load_config(self._path)
            self._understood(found)
        except BanksmanError as error:
            self._problem = str(error)
            log.error("the changed file is not taken up: %s", self._problem, extra={"action": "config_refused"})
            return False
        before, self._current = self._current, found
        if found.digest != before.digest:
            change = {"from": before.digest, "to": found.digest}
            log.info("the changed file holds from now on", extra={"action": "config_changed", **change})
        elif self._problem is not None:
            log.info("the file says again what has held all along", extra={"action": "config_mended"})
        self._problem = None
        return found.digest != before.digest


def _look(files: tuple[Path, ...]) -> _Seen:
    """What tells a file from a changed one, cheaply."""
    found = []
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            found.append((str(path), 0, 0, 0))
        else:
            found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def _content(files: tuple[Path, ...]) -> str:
    """Digest of what the files hold; one that cannot be read differs from every one that can."""
    whole = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            whole.update(f"{path}\0{type(error).__name__}\0".encode())
        else:
            whole.update(f"{path}\0{hashlib.sha256(data).hexdigest()}\0".encode())
    return whole.hexdigest()
