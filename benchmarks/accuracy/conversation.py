"""Talking to an adapter: a child process that answers one JSON line for each."""

from __future__ import annotations

import contextlib
import json
import selectors
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

START_S = 120.0
"""Importing a peer may take long on a busy machine."""
ANSWER_S = 60.0
"""More than ten times the slowest peer's usual time for a page."""


class PeerError(Exception):
    """An adapter that didn't start, died, fell silent or spoke something else; the text says which."""


class Peer:
    """A running adapter. Use as a context manager; `versions` is what it said of itself."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], start_s: float = START_S) -> None:
        pinned = [taskset, "-c", "0"] if (taskset := shutil.which("taskset")) else []
        self._child = subprocess.Popen(
            [*pinned, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._pending = b""
        try:
            hello = self._line(start_s)
            if hello.get("ready") is not True:
                raise PeerError("did not say that it is ready")
        except PeerError:
            self.close()
            raise
        self.versions: dict[str, str] = hello.get("versions", {})

    def ask(self, path: Path, answer_s: float = ANSWER_S) -> dict[str, Any]:
        """What it reads on a picture. Raises PeerError; the adapter is of no more use then."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps({"path": str(path)}).encode() + b"\n")
            self._child.stdin.flush()
        except OSError as error:
            raise PeerError("died") from error
        answer = self._line(answer_s)
        lines = answer.get("lines")
        if lines is not None and not (
            isinstance(lines, list) and all(isinstance(line, str) for line in lines)
        ):
            raise PeerError("spoke something else")
        if not isinstance(answer.get("ms"), float | int):
            raise PeerError("spoke something else")
        return answer

    def _line(self, seconds: float) -> dict[str, Any]:
        stream = self._child.stdout
        assert stream is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if not selector.select(seconds):
                    raise PeerError("fell silent")
                chunk = stream.read1(65536)  # type: ignore[attr-defined]
                if not chunk:
                    raise PeerError("died")
                self._pending += chunk
        line, self._pending = self._pending.split(b"\n", 1)
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise PeerError("spoke something else")
        return answer

    def close(self) -> None:
        """End the adapter."""
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
