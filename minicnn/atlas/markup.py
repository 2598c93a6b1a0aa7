"""HTML that is escaped by construction: text becomes markup in one place only."""

from collections.abc import Iterable
from html import escape
from typing import Any

from minicnn.inspect.names import printable

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(content: Any) -> Markup:
    """Markup as it is, None as nothing, a list or generator piece by piece, everything else as escaped text."""
    if isinstance(content, Markup):
        return content
    if content is None:
        return Markup()
    if isinstance(content, str) or not isinstance(content, Iterable):
        return Markup(escape(printable(content), quote=True))
    return Markup("".join(map(html, content)))


def el(name: str, *content: Any, **attributes: Any) -> Markup:
    """An element: `el("a", "unit 3", href="#u3", class_="unit")`.

    In attribute names a trailing _ is dropped and others become -; False and None leave an attribute out, True writes it
    without a value. Content and values are escaped as in `html`.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{escape(printable(value), quote=True)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{name}{written}>" + ("" if name in VOID else f"{html(content)}</{name}>"))


def enlargeable(shown: Any, *caption: Any, style: str | None = None, **attributes: Any) -> Markup:
    """A picture that grows when it is clicked, with its caption."""
    button = el("button", shown, class_="zoom", style=style)
    return el("figure", button, el("figcaption", caption), **attributes)


def panel(title: Any, *content: Any, **attributes: Any) -> Markup:
    """A part of a page with a heading of its own."""
    return el("section", el("h3", title), content, **attributes)


def beside(*content: Any) -> Markup:
    """Parts of a page beside each other; below each other where the page is narrow."""
    return el("div", content, class_="split")


def soft(*content: Any) -> Markup:
    """A paragraph that says how to read what stands above it."""
    return el("p", content, class_="soft")
