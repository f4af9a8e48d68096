"""Identity providers that a test starts: processes of their own, which it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.sandbox.idp_client import Provider


@dataclass
class Idps:
    """Starts identity providers and ends them; one with a home and a port goes on where another stood."""

    folder: Path
    running: list[tuple[subprocess.Popen[str], Provider]] = field(default_factory=list)
    shared: dict[tuple[str, ...], Provider] = field(default_factory=dict)

    def __call__(self, *arguments: str, home: Path | None = None) -> Provider:
        place = home or self.folder / f"idp-{len(self.running)}"
        command = [sys.executable, "-m", "sandbox", "idp", "--home", str(place), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the provider ended with {process.wait()}"
        told = json.loads(line)
        self.running.append((process, Provider(control_url=told.pop("control"), home=place, **told)))
        return self.running[-1][1]

    def like(self, *arguments: str) -> Provider:
        """One that was started with the same arguments; its log begins now."""
        if arguments not in self.shared:
            self.shared[arguments] = self(*arguments)
        found = self.shared[arguments]
        found.since = found.control("log")["last"]
        return found

    def stop(self) -> None:
        for process, provider in self.running:
            provider.session.close()
            process.terminate()
            process.wait(timeout=20)
            if process.stdout is not None:
                process.stdout.close()
