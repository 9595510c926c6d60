"""The rule language: sums of products over local variables, e.g. ``"2^-2*x1*y0 - 2^-2*y1*x0"``.

    rule       = [sign] product { sign product }
    product    = [sign] factor { "*" [sign] factor }
    factor     = literal | variable | group | function "(" inside ")" | "const" "(" integer ")"
    group      = "(" [sign] literal ")" | "(" inside ")"
    function   = sgn | pos | on
    inside     = [sign] term { sign term }          one or two variables and at most one integer, in any order
    term       = variable | integer
    literal    = integer | "2^" [sign] integer
    variable   = x0 y0 u0..u15 x1 x2 y1 y2 y3 w d t m1..m4 q, or the name of a modulator

A product happens when its dependency does: `u_k` (every 2^k epochs) if it has one, else its first x0 or y0; further
x0, y0 are factors. Literals and signs multiply into its scale ``mant * 2^exp`` (mant -8..7, exp -7..8).
`pos` is 0 where its sum is negative, `on` is 1 where it is positive. ``const(c)`` is a factor of its own, with 8 bits;
other constants belong to the scale. Only sums of single variables, and `sgn` of w, d, t, are in every engine; other
functions, two variables in one factor and periods over u9 are extensions (docs/semantics.md, 4.3).

The products say what the text says: ``(c - w)`` is ``-(w - c)``. What cannot be held is a `RuleError` with its column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, cast

from neuromorph.errors import RuleError, ValidationError
from neuromorph.rule import MODULATORS, PERIOD_MAX, VARIABLES, WIDTHS, Factor, Function, Product

__all__ = ["format_products", "parse_products", "product_columns", "variable_columns"]

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<name>[A-Za-z_]\w*)|(?P<symbol>\*\*|[-+*^()]))")
_SPACE = re.compile(r"\s*")
_PERIODS = tuple(f"u{k}" for k in range(PERIOD_MAX + 1))
_VARIABLES = ("x0", "y0", *_PERIODS, *(name for name in VARIABLES if name not in ("x0", "y0", "1")))
_FUNCTIONS = ("sgn", "pos", "on", "const")
_MAX_FACTORS = 6
_MAX_DIGITS = 9
_HINTS = {
    "/": "there is no division; multiply by 2^-n",
    "=": "write the right-hand side only: dw=..., dd=..., dt=... are separate texts",
    ",": "a decimal point or list has no place here",
    "[": "use round brackets",
    "{": "use round brackets",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["number", "name", "symbol", "end"]
    text: str
    column: int


@dataclass(slots=True)
class _Draft:
    """A product while it is read: scale, factors, and where things were said."""

    column: int
    mant: int
    exp: int = 0
    factors: list[tuple[Factor, int]] = field(default_factory=list)
    k: int | None = None
    scale_column: int | None = None


@dataclass(slots=True)
class _Sum:
    """What stands within brackets while it is read: signed variables, an integer, or a period alone."""

    parser: _Parser
    variables: list[tuple[int, _Token]] = field(default_factory=list)
    constant: int = 0
    number: _Token | None = None
    period: _Token | None = None

    @property
    def full(self) -> bool:
        """Whether nothing more can follow."""
        return len(self.variables) == 2 and self.number is not None

    @property
    def column(self) -> int:
        """Where the constant stands, or the first variable."""
        return self.variables[0][1].column if self.number is None else self.number.column

    def add(self, sign: int) -> None:
        """Read one more term."""
        parser, token = self.parser, self.parser.next
        if token.kind == "name" and len(self.variables) < 2:
            parser.place += 1
            parser.known(token)
            self.variables.append((sign, token))
        elif token.kind == "number" and self.number is None:
            self.constant, self.number = sign * parser.integer("a constant"), token
        elif token.kind in ("name", "number"):
            what = "more than two variables" if token.kind == "name" else "more than one constant"
            raise parser.error(f"{what} in brackets: products of sums have to be multiplied out")
        elif token.text == "(":
            raise parser.error("brackets within brackets: products of sums have to be multiplied out")
        elif token.text == ")" and not self.variables and self.number is None:
            raise parser.error("a variable is missing before ')'")
        else:
            raise parser.dangling("a variable or a constant" if self.number is None else "a variable")

    def turn(self) -> int:
        """Make the first variable positive: the sign that the whole is to be multiplied with."""
        signs = [sign for sign, _ in self.variables]
        if signs == [-1, 1]:
            self.variables.reverse()
            return 1
        if signs[0] > 0:
            return 1
        self.variables = [(-sign, token) for sign, token in self.variables]
        self.constant = -self.constant
        return -1

    def factor(self, function: Function = "") -> Factor:
        """The factor, its first variable positive."""
        names = tuple(self.parser.known(token) for _, token in self.variables)
        bits = WIDTHS[names[0]] if len(names) == 1 and not function else 9
        self.parser.constant(names, self.constant, self.column, bits)
        if len(names) == 1:
            return Factor(names[0], self.constant, function)
        return Factor(names[0], self.constant, function, names[1], self.variables[1][0])


def parse_products(text: str, modulators: Sequence[str] = ()) -> tuple[Product, ...]:
    """Parse a rule into products.

    Parameters
    ----------
    text : str
        The right-hand side of a rule; grammar in the module's docstring.
    modulators : sequence of str
        Names that stand for m1, m2, m3, m4, in this order.

    Raises
    ------
    RuleError
        The text is no rule, or says what the machine cannot hold; `column` points at it.

    Examples
    --------
    >>> product, = parse_products("2^-3*y0*x1")
    >>> product.dependency, product.mant, product.exp, product.factors == (Factor("x1"),)
    ('y0', 1, -3, True)
    """
    _check_names(modulators)
    return _Parser(text, modulators).rule()


def _check_names(modulators: Sequence[str]) -> None:
    for name in modulators:
        if not re.fullmatch(r"[A-Za-z_]\w*", name) or name in (*_VARIABLES, *_FUNCTIONS) or re.fullmatch(r"u\d*", name):
            raise ValidationError(
                f"modulator {name!r}: a rule needs a name of letters, digits and _ that is no variable or function"
            )


def variable_columns(text: str) -> dict[str, int]:
    """Variables that a rule mentions, each with the column of its first appearance."""
    found: dict[str, int] = {}
    for token in _tokens(text):
        if token.kind == "name":
            found.setdefault(token.text, token.column)
    return found


def product_columns(text: str) -> list[int]:
    """Where each product of a rule begins, after its sign."""
    found: list[int] = []
    depth, before = 0, "+"
    for token in _tokens(text):
        if depth == 0 and before in ("+", "-") and token.text not in ("+", "-"):
            found.append(token.column)
        if token.text in ("(", ")"):
            depth += 1 if token.text == "(" else -1
        # the sign of a factor begins no product
        if not (token.text in ("+", "-") and before in ("*", "^", "**")):
            before = token.text
    return found


def format_products(products: Iterable[Product], modulators: Sequence[str] = ()) -> str:
    """The canonical text of products; `parse_products` gives them back. `modulators` are names for m1, m2, .."""
    names = dict(zip(MODULATORS, modulators, strict=False))
    text = ""
    for product in products:
        sign = ("- " if text else "-") if product.mant < 0 else ("+ " if text else "")
        text += (" " if text else "") + sign + _format_product(product, names)
    return text


def _format_product(product: Product, names: Mapping[str, str]) -> str:
    mant, parts = abs(product.mant), []
    if product.exp:
        parts.append(f"2^{product.exp}" if mant == 1 else f"{mant}*2^{product.exp}")
    elif mant != 1:
        parts.append(str(mant))
    parts.append(f"u{product.k}" if product.dependency == "u" else product.dependency)
    return "*".join(parts + [_format_factor(f, names) for f in product.factors])


def _format_factor(factor: Factor, names: Mapping[str, str]) -> str:
    c, (first, *rest) = factor.constant, (names.get(name, name) for name in factor.variables)
    if first == "1":
        return f"{factor.function}({c or ''}{' - ' if c else '-'}{rest[0]})" if rest else f"const({c})"
    inside = first + (f" {'+' if factor.sign > 0 else '-'} {rest[0]}" if rest else "")
    inside += f" {'+' if c > 0 else '-'} {abs(c)}" if c else ""
    if factor.function:
        return f"{factor.function}({inside})"
    return f"({inside})" if c or rest else inside


def _tokens(text: str) -> list[_Token]:
    tokens, place = [], 0
    while True:
        match = _TOKEN.match(text, place)
        if match is None:
            break
        kind = match.lastgroup
        tokens.append(_Token(kind, match.group(kind), match.start(kind)))  # type: ignore[arg-type]
        place = match.end()
    space = _SPACE.match(text, place)
    end = space.end() if space else place
    if end < len(text):
        hint = _HINTS.get(text[end], "a rule has variables, integers, 2^n and + - * ( )")
        raise RuleError(f"{text[end]!r} is not part of the language: {hint}", text, end)
    return [*tokens, _Token("end", "the end", len(text.rstrip()))]


class _Parser:
    """Recursive descent; one method per line of the grammar."""

    def __init__(self, text: str, modulators: Sequence[str] = ()) -> None:
        if not isinstance(text, str):
            raise ValidationError(f"a rule is text, not {type(text).__name__}")
        self.text = text
        self.names = dict(zip(modulators, MODULATORS, strict=False))
        self.tokens = _tokens(text)
        self.place = 0

    # -- reading tokens

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self, *symbols: str) -> _Token | None:
        """The next token if it is one of `symbols`."""
        token = self.next
        if token.kind != "symbol" or token.text not in symbols:
            return None
        self.place += 1
        return token

    def sign(self) -> int:
        """An optional sign: +1 or -1."""
        token = self.take("+", "-")
        return -1 if token and token.text == "-" else 1

    def error(self, message: str, column: int | None = None) -> RuleError:
        return RuleError(message, self.text, self.next.column if column is None else column)

    def dangling(self, what: str) -> RuleError:
        """Something is missing; if the text ends here, point at the operator before."""
        token = self.next
        before = self.tokens[self.place - 1] if self.place else None
        if token.kind == "end" and before is not None:
            return self.error(f"{what} is missing after {before.text!r}", before.column)
        return self.error(f"{what} is needed here, not {token.text!r}")

    # -- grammar

    def rule(self) -> tuple[Product, ...]:
        if self.next.kind == "end":
            raise self.error("the rule is empty", 0)
        products = [self.product(self.sign())]
        while token := self.take("+", "-"):
            products.append(self.product(-1 if token.text == "-" else 1))
        return tuple(products)

    def unexpected(self) -> RuleError:
        """The error for a token that cannot follow a complete factor."""
        token = self.next
        if token.text == ")":
            return self.error("this ')' closes nothing")
        if token.text in ("^", "**"):
            return self.error("only 2 takes an exponent, as in 2^-3; for a square write the factor twice")
        return self.error(f"an operator (+ - *) is missing before {token.text!r}")

    def product(self, sign: int) -> Product:
        draft = _Draft(self.next.column, sign)
        self.factor(draft)
        while self.take("*"):
            self.factor(draft)
        if self.next.kind != "end" and self.next.text not in ("+", "-"):
            raise self.unexpected()
        return self.finish(draft)

    def factor(self, draft: _Draft) -> None:
        draft.mant *= self.sign()
        token = self.next
        if token.kind == "number":
            self.literal(draft)
        elif token.kind == "name":
            self.place += 1
            if self.next.text == "(" and token.text in _FUNCTIONS:
                self.call(draft, token)
            else:
                self.variable(draft, token)
        elif token.text == "(":
            self.group(draft)
        else:
            raise self.dangling("a factor")

    def literal(self, draft: _Draft) -> None:
        """``a`` or ``2^e``, into the scale."""
        token = self.next
        if draft.scale_column is None:
            draft.scale_column = token.column
        value = self.integer("a scale")
        if not self.take("^"):
            if self.next.text == "**":
                raise self.unexpected()
            if value == 0:
                raise self.error("a scale of 0 changes nothing", token.column)
            draft.mant *= value
            return
        if value != 2:
            raise self.error(f"only 2 takes an exponent, not {value}", token.column)
        sign = self.sign()
        if self.next.kind != "number":
            raise self.dangling("an integer exponent")
        draft.exp += sign * self.integer("an exponent")

    def integer(self, what: str) -> int:
        token = self.next
        self.place += 1
        if "." in token.text:
            hint = (
                f"; the nearest is {_nearest(Fraction(token.text))}" if what == "a scale" and token.text != "." else ""
            )
            raise self.error(f"{what} is made of integers, not {token.text}{hint}", token.column)
        if len(token.text) > _MAX_DIGITS:
            raise self.error(f"{what} of {token.text} is too large", token.column)
        return int(token.text)

    def variable(self, draft: _Draft, token: _Token) -> None:
        """A bare variable: the dependency, or a factor."""
        name = self.known(token)
        if name[0] != "u":
            draft.factors.append((Factor(name), token.column))
        elif draft.k is None:
            draft.k = int(name[1:])
        else:
            raise self.error(f"one product has one period: {name} after u{draft.k}", token.column)

    def known(self, token: _Token) -> str:
        """The variable that a name stands for."""
        name = self.names.get(token.text, token.text)
        if name in _VARIABLES:
            return name
        if name in _FUNCTIONS:
            raise self.error(f"'(' is missing after {name}", token.column)
        if re.fullmatch(r"u\d*", name):
            raise self.error(f"the period {name!r} is unknown; one of u0..u15 (every 2^k epochs)", token.column)
        known = (*_VARIABLES, *self.names, *_FUNCTIONS)
        close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"one of {' '.join((*_VARIABLES, *self.names))}"
        raise self.error(f"the variable {name!r} is unknown; {hint}", token.column)

    def call(self, draft: _Draft, name: _Token) -> None:
        """``sgn(...)``, ``pos(...)``, ``on(...)`` or ``const(...)``."""
        bracket = self.next
        self.place += 1
        if name.text == "const":
            sign, number = self.sign(), self.next
            if number.kind != "number":
                raise self.error("const takes one integer", number.column)
            value = sign * self.integer("a constant")
            factor = Factor("1", self.constant(("1",), value, number.column, WIDTHS["1"]))
        else:
            held = self.inside()
            if held.period is not None:
                raise self.error(f"{name.text} takes numbers, not the period {held.period.text}", held.period.column)
            if name.text == "sgn":
                draft.mant *= held.turn()
                factor = held.factor("sgn")
            else:
                factor = self.one_sided(cast("Function", name.text), held)
        draft.factors.append((factor, name.column))
        self.close(bracket)

    def one_sided(self, function: Function, held: _Sum) -> Factor:
        """``pos`` or ``on``: a sign inside cannot move into the scale."""
        signs = [sign for sign, _ in held.variables]
        if signs == [-1, -1]:
            raise self.error(
                f"{function} cannot subtract two variables; add them, and take {function} of that with const instead",
                held.variables[0][1].column,
            )
        if signs == [-1]:
            second = self.known(held.variables[0][1])
            return Factor("1", self.constant((second,), held.constant, held.column, 9), function, second, -1)
        if signs[0] < 0:
            held.variables.reverse()
        return held.factor(function)

    def group(self, draft: _Draft) -> None:
        """``(literal)``, ``(variable)``, ``(variable + c)``, ``(c - variable)``, ``(variable + variable + c)``."""
        bracket = self.next
        self.place += 1
        ahead = self.tokens[self.place :]
        ahead = ahead[1:] if ahead[0].text in ("+", "-") else ahead
        if ahead[0].kind == "number" and ahead[1].text in ("^", "**", "*", ")"):
            draft.mant *= self.sign()
            self.literal(draft)
        else:
            held = self.inside()
            draft.mant *= held.turn()
            if held.period is not None:
                self.variable(draft, held.period)
            else:
                draft.factors.append((held.factor(), held.variables[0][1].column))
        self.close(bracket)

    def inside(self) -> _Sum:
        """One or two variables and at most one integer, in any order, each with its sign."""
        held, sign = _Sum(self), self.sign()
        held.add(sign)
        while not held.full and (token := self.take("+", "-")):
            held.add(-1 if token.text == "-" else 1)
        if not held.variables:
            raise self.dangling("'+' or '-' and a variable")
        period = next((token for _, token in held.variables if token.text[0] == "u"), None)
        if period is not None and (len(held.variables) > 1 or held.number is not None):
            raise self.error(f"{period.text} is a period, not a number: no constant and no other variable with it",
                             period.column)  # fmt: skip
        held.period = period
        return held

    def constant(self, names: tuple[str, ...], value: int, column: int, bits: int) -> int:
        """A constant beside variables, if the factor's bits can hold it."""
        limit = 1 << bits
        if not -limit <= value < limit:
            what = "const" if names == ("1",) else " and ".join(names)
            raise self.error(
                f"the constant {value} is too large: the factor {what} is held in {-limit}..{limit - 1}", column
            )
        return value

    def close(self, bracket: _Token) -> None:
        if self.take(")"):
            return
        token = self.next
        if token.kind == "end":
            raise self.error("this '(' is not closed", bracket.column)
        if token.text == "*":
            raise self.error("a product within brackets: products of sums have to be multiplied out")
        if token.text in ("+", "-"):
            raise self.error("more than two variables and one constant in brackets: they have to be multiplied out")
        raise self.unexpected()

    def finish(self, draft: _Draft) -> Product:
        """Dependency, scale and limits of a product."""
        factors = draft.factors
        dependency: Literal["x0", "y0", "u"] = "u"
        if draft.k is None:
            places = [i for i, (f, _) in enumerate(factors) if f in (Factor("x0"), Factor("y0"))]
            if not places:
                raise self.error("the product has no dependency: it needs x0, y0 or u0..u9 as a factor", draft.column)
            first, _ = factors.pop(places[0])
            dependency = "x0" if first.variable == "x0" else "y0"
        if len(factors) > _MAX_FACTORS:
            raise self.error(f"{len(factors)} factors in one product; at most {_MAX_FACTORS}", factors[_MAX_FACTORS][1])
        mant, exp = self.scale(draft)
        return Product(dependency, mant, exp, tuple(f for f, _ in factors), draft.k or 0)

    def scale(self, draft: _Draft) -> tuple[int, int]:
        """``mant * 2^exp`` within the machine's range, as written where that is possible."""
        mant, exp = draft.mant, draft.exp
        while not -8 <= mant <= 7 and mant % 2 == 0:
            mant, exp = mant // 2, exp + 1
        while exp > 8 and -4 <= mant <= 3:
            mant, exp = mant * 2, exp - 1
        while exp < -7 and mant % 2 == 0:
            mant, exp = mant // 2, exp + 1
        if -8 <= mant <= 7 and -7 <= exp <= 8:
            return mant, exp
        written = f"{draft.mant}*2^{draft.exp}" if draft.exp else f"{draft.mant}"
        value = draft.mant * Fraction(2) ** max(-64, min(64, draft.exp))  # beyond that the nearest is an end anyway
        raise self.error(
            f"the scale {written} cannot be held as mant*2^exp with mant -8..7, exp -7..8; the nearest is "
            f"{_nearest(value)}",
            draft.column if draft.scale_column is None else draft.scale_column,
        )


def _nearest(value: Fraction) -> str:
    """The scale nearest to `value`, as text."""
    scales = [(m, e) for e in range(-7, 9) for m in range(-8, 8) if m]
    m, e = min(scales, key=lambda s: (abs(s[0] * Fraction(2) ** s[1] - value), abs(s[0]), abs(s[1])))
    return ("-" if m == -1 else "" if m == 1 else f"{m}*") + f"2^{e}" if e else str(m)
