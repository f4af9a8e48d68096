"""The templates and static files keep the rules that the Content-Security-Policy enforces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plugins.encours_pages.connectors import WORDS
from plugins.encours_pages.static_files import FOLDER as STATIC
from plugins.encours_pages.static_files import digest, static_address, static_files

FOLDER = STATIC.parent
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
FORBIDDEN = {
    "an inline style": re.compile(r"<style|\sstyle=", re.IGNORECASE),
    "an inline script": re.compile(r"<script(?![^>]*\ssrc=)", re.IGNORECASE),
    "a handler attribute": re.compile(r"\son[a-z]+=", re.IGNORECASE),
    "a new window": re.compile(r"target=", re.IGNORECASE),
    "another host": re.compile(r"https?://", re.IGNORECASE),
    "an escape from autoescape": re.compile(r"\|\s*safe|autoescape\s+false"),
}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_holds_what_the_policy_forbids(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert [what for what, pattern in FORBIDDEN.items() if pattern.search(text)] == []


def test_the_forbidden_things_would_be_found() -> None:
    bad = """<p style="x"><script>1</script><a onclick="x" target=_blank href="http://x">{{ x | safe }}</a>"""
    assert [what for what, pattern in FORBIDDEN.items() if not pattern.search(bad)] == []


def test_every_state_has_a_shape_and_a_colour_in_both_modes() -> None:
    shapes = (FOLDER / "templates" / "state.html").read_text(encoding="utf-8")
    style = static_files()["console.css"].decode()
    for state in WORDS:
        assert f'state == "{state}"' in shapes
        assert f".{state}.state {{" in style
        assert style.count(f"--{state}:") == 2, state


def test_the_address_of_a_file_changes_with_its_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    before = static_address("console.css")
    assert before == f"/encours/static/{digest()}/console.css"
    monkeypatch.setitem(static_files(), "console.css", b"/* other */")
    digest.cache_clear()
    try:
        assert static_address("console.css") != before
    finally:
        digest.cache_clear()
    with pytest.raises(KeyError):
        static_address("none.css")


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_text_of_every_state_can_be_read_in_both_modes() -> None:
    style = static_files()["console.css"].decode()
    light, dark = (
        dict(re.findall(r"--([a-z_-]+): ([^;]+);", block))
        for block in re.findall(r":root[^{]*\{([^}]+)\}", style)
    )
    for mode in light, light | dark:
        pairs = [
            (mode[s], mode[f"{s}-bg"] if mode[f"{s}-bg"] != "transparent" else mode["bg"]) for s in WORDS
        ]
        pairs += [
            (mode[text], mode[ground]) for text in ("text", "muted", "link") for ground in ("bg", "panel")
        ]
        for text, ground in pairs:
            bright, dim = sorted((luminance(text), luminance(ground)), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, ground)
