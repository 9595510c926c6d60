"""One-operator changes of the C engine: which files they come from, and what can be put for what.

The rule, which looks at sources alone and never at results: all functions of all files that a program has to link to
call ``nm_step`` (`engine_files`), in the ``.c`` files and in the headers they include. Any operator in a body of a
function, or of a macro that spans lines, can be drawn. Declarations, preprocessor lines and comments have none that
counts here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["REPLACEMENTS", "Change", "changes", "engine_files"]

REPLACEMENTS: dict[str, tuple[str, ...]] = {
    "+": ("-",), "-": ("+",), "*": ("+",), "<<": (">>",), ">>": ("<<",), "<": ("<=", ">="), "<=": ("<", ">"),
    ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",), "&": ("|", "^"), "|": ("&",),
    "^": ("&",), "&&": ("||",), "||": ("&&",), "++": ("--",), "--": ("++",), "+=": ("-=",), "-=": ("+=",),
    "|=": ("&=",), "&=": ("|=",), "^=": ("&=",), "*=": ("+=",), ">>=": ("<<=",), "<<=": (">>=",), "!": ("",),
    "~": ("",),
}  # fmt: skip
"""What takes the place of an operator; a change is one of a token and one of its replacements."""

_HIDDEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
# The sources put spaces around binary operators and none after a pointer's star or an address's ampersand.
_BINARY = r"(?<=[ \n])(?:<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\*=|\|=|&=|\^=|[-+*<>&|^])(?=[ \n])"
_OPERATOR = re.compile(rf"{_BINARY}|\+\+|--|!(?!=)|~")
_CONSTANT = re.compile(r"(?<![\w.])(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)(?![\w.])")
_FUNCTION = re.compile(r"^\w[\w \t\*]*?\b(\w+)\((?:[^;{}]*?)\) \{(?:[^\n]*\}$|.*?^\})", re.MULTILINE | re.DOTALL)
_MACRO = re.compile(r"^#define (\w+)\([^\n]*\\\n(?:[^\n]*\\\n)*[^\n]*\n", re.MULTILINE)
_DIRECTIVE = re.compile(r"^#[^\n]*(?:\\\n[^\n]*)*", re.MULTILINE)
_INCLUDE = re.compile(r'^#include "(\w+\.h)"', re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """One operator or constant of a source file and what takes its place."""

    file: str
    function: str
    line: int
    column: int
    at: int
    old: str
    new: str
    text: str  # the line

    def apply(self, source: str) -> str:
        """The changed source."""
        return source[: self.at] + self.new + source[self.at + len(self.old) :]

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column} {self.function}"
        return f"{where}: {self.old!r} -> {self.new!r} in: {self.text.strip()}"


def engine_files(sources: Mapping[str, str], entry: str = "nm_step") -> list[str]:
    """Of all sources by name those that must be linked, or are included, to call `entry`; sorted."""
    code = {name: _plain(source) for name, source in sources.items()}
    home = {
        found.group(1): name
        for name, text in code.items() if name.endswith(".c")
        for found in _FUNCTION.finditer(_without_directives(text)) if not found.group().startswith("static")
    }  # fmt: skip
    needed, new = set[str](), {home[entry]}
    while new:
        needed |= new
        bodies = [code[name][start:end] for name in new for _, start, end in _bodies(code[name])]
        called = {home[word] for body in bodies for word in re.findall(r"\bnm_\w+", body) if word in home}
        included = {header for name in new for header in _INCLUDE.findall(sources[name])}
        new = (called | included) - needed
    return sorted(needed)


def changes(file: str, source: str, *, constants: bool = False) -> Iterator[Change]:
    """All changes of a source file: of operators, or of integer constants."""
    code = _plain(source)
    for name, start, end in _bodies(code):
        for at, old, new in _constants(code, start, end) if constants else _operators(code, start, end):
            first, last = source.rfind("\n", 0, at) + 1, source.find("\n", at)
            line, text = source.count("\n", 0, at) + 1, source[first:last].rstrip("\\ ")
            yield Change(file, name, line, at - first + 1, at, old, new, text)


def _plain(source: str) -> str:
    """Comments and strings blanked, offsets kept."""
    return _HIDDEN.sub(_blank, source)


def _without_directives(code: str) -> str:
    return _DIRECTIVE.sub(_blank, code)


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found.group())


def _bodies(code: str) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of the body of each function and of each macro that spans lines."""
    for found in _MACRO.finditer(code):
        yield found.group(1), code.index("\n", found.start()) + 1, found.end()
    for found in _FUNCTION.finditer(_without_directives(code)):
        yield found.group(1), code.index(" {", found.end(1)) + 1, found.end()


def _operators(code: str, start: int, end: int) -> Iterator[tuple[int, str, str]]:
    """Place, old and new text of each change of an operator between `start` and `end`."""
    for found in _OPERATOR.finditer(code, start, end):
        for new in REPLACEMENTS[found.group()]:
            yield found.start(), found.group(), new


def _constants(code: str, start: int, end: int) -> Iterator[tuple[int, str, str]]:
    """The same for integer constants: one more and one less."""
    for found in _CONSTANT.finditer(code, start, end):
        digits, suffix = found.groups()
        value, form = int(digits, 0), "#x" if digits[:2] in ("0x", "0X") else "d"
        for x in (value + 1, value - 1):
            if x >= 0:
                yield found.start(), found.group(), f"{x:{form}}{suffix}"
