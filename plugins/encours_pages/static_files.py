"""The console's files that never change under one address: the path holds the digest of their contents.

They hold nothing of anybody's books, so they are served to everyone: the sign-in sentence is styled too.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from plugins.encours_pages.addresses import address

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@cache
def static_files() -> dict[str, bytes]:
    """Each file's contents by its name."""
    return {file.name: file.read_bytes() for file in sorted(FOLDER.iterdir()) if file.suffix in TYPES}


@cache
def digest() -> str:
    """The first 16 hexadecimal digits of the SHA-256 of all names and contents."""
    everything = sha256()
    for name, content in static_files().items():
        everything.update(f"{name}\0{len(content)}\0".encode() + content)
    return everything.hexdigest()[:16]


def static_address(name: str) -> str:
    """The address of one file; raises KeyError for a name that does not exist."""
    static_files()[name]
    return address(f"/static/{digest()}/{name}")


def media_type(name: str) -> str:
    """The media type by the name's ending."""
    return TYPES[Path(name).suffix]
