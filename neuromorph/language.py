"""The rule language: sums of products over local variables, e.g. ``"2^-2*x1*y0 - 2^-2*y1*x0"``.

    rule       = [sign] product { sign product }
    product    = [sign] factor { "*" [sign] factor }
    factor     = literal | variable | group | "sgn" "(" inside ")" | "const" "(" integer ")"
    group      = "(" [sign] literal ")" | "(" inside ")"
    inside     = [sign] variable [ sign integer ] | [sign] integer sign variable
    literal    = integer | "2^" [sign] integer
    variable   = x0 y0 u0..u9 x1 x2 y1 y2 y3 w d t

A product happens when its dependency does: `u_k` (every 2^k epochs) if it has one, else its first x0 or y0; further
x0, y0 are factors. Literals and signs multiply into its scale ``mant * 2^exp`` (mant -8..7, exp -7..8).
`sgn` takes w, d, t. ``const(c)`` is a factor of its own, with 8 bits; other constants belong to
the scale.

The products say what the text says: ``(c - w)`` is ``-(w - c)``. What cannot be held is a `RuleError` with its column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from neuromorph.errors import RuleError, ValidationError
from neuromorph.rule import WIDTHS, Factor, Product

__all__ = ["format_products", "parse_products", "variable_columns"]

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<name>[A-Za-z_]\w*)|(?P<symbol>\*\*|[-+*^()]))")
_SPACE = re.compile(r"\s*")
_DEPENDENCIES = ("x0", "y0", *(f"u{k}" for k in range(10)))
_VARIABLES = (*_DEPENDENCIES, "x1", "x2", "y1", "y2", "y3", "w", "d", "t")
_SGN_VARIABLES = ("w", "d", "t")
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


def parse_products(text: str) -> tuple[Product, ...]:
    """Parse a rule into products.

    Parameters
    ----------
    text : str
        The right-hand side of a rule; grammar in the module's docstring.

    Raises
    ------
    RuleError
        The text is no rule, or says what the machine cannot hold; `column` points at it.

    Examples
    --------
    >>> parse_products("2^-3*y0*x1")
    (Product(dependency='y0', mant=1, exp=-3, factors=(Factor(variable='x1', constant=0, sgn=False),), k=0),)
    """
    return _Parser(text).rule()


def variable_columns(text: str) -> dict[str, int]:
    """Variables that a rule mentions, each with the column of its first appearance."""
    found: dict[str, int] = {}
    for token in _tokens(text):
        if token.kind == "name":
            found.setdefault(token.text, token.column)
    return found


def format_products(products: Iterable[Product]) -> str:
    """The canonical text of products; `parse_products` gives them back."""
    text = ""
    for product in products:
        sign = ("- " if text else "-") if product.mant < 0 else ("+ " if text else "")
        text += (" " if text else "") + sign + _format_product(product)
    return text


def _format_product(product: Product) -> str:
    mant, parts = abs(product.mant), []
    if product.exp:
        parts.append(f"2^{product.exp}" if mant == 1 else f"{mant}*2^{product.exp}")
    elif mant != 1:
        parts.append(str(mant))
    parts.append(f"u{product.k}" if product.dependency == "u" else product.dependency)
    return "*".join(parts + [_format_factor(f) for f in product.factors])


def _format_factor(factor: Factor) -> str:
    if factor.variable == "1":
        return f"const({factor.constant})"
    c = factor.constant
    inside = factor.variable + (f" {'+' if c > 0 else '-'} {abs(c)}" if c else "")
    if factor.sgn:
        return f"sgn({inside})"
    return f"({inside})" if c else inside


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

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValidationError(f"a rule is text, not {type(text).__name__}")
        self.text = text
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
            if self.next.text == "(" and token.text in ("sgn", "const"):
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
            draft.k = int(name[1])
        else:
            raise self.error(f"one product has one period: {name} after u{draft.k}", token.column)

    def known(self, token: _Token) -> str:
        name = token.text
        if name in _VARIABLES:
            return name
        if name in ("sgn", "const"):
            raise self.error(f"'(' is missing after {name}", token.column)
        if re.fullmatch(r"u\d*", name):
            raise self.error(f"the period {name!r} is unknown; one of u0..u9 (every 2^k epochs)", token.column)
        close = difflib.get_close_matches(name.lower(), (*_VARIABLES, "sgn"), n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"one of {' '.join(_VARIABLES)}"
        raise self.error(f"the variable {name!r} is unknown; {hint}", token.column)

    def call(self, draft: _Draft, name: _Token) -> None:
        """``sgn(...)`` or ``const(...)``."""
        bracket = self.next
        self.place += 1
        if name.text == "const":
            sign, number = self.sign(), self.next
            if number.kind != "number":
                raise self.error("const takes one integer", number.column)
            factor = Factor("1", self.constant("1", sign * self.integer("a constant"), number.column))
        else:
            sign, variable, constant = self.inside()
            if variable.text not in _SGN_VARIABLES:
                raise self.error(f"sgn takes w, d or t, not {variable.text}", variable.column)
            draft.mant *= sign
            factor = Factor(variable.text, constant, sgn=True)
        draft.factors.append((factor, name.column))
        self.close(bracket)

    def group(self, draft: _Draft) -> None:
        """``(literal)``, ``(variable)``, ``(variable + c)``, ``(c - variable)``."""
        bracket = self.next
        self.place += 1
        ahead = self.tokens[self.place :]
        ahead = ahead[1:] if ahead[0].text in ("+", "-") else ahead
        if ahead[0].kind == "number" and ahead[1].text in ("^", "**", "*", ")"):
            draft.mant *= self.sign()
            self.literal(draft)
        else:
            sign, variable, constant = self.inside()
            draft.mant *= sign
            if not constant:
                self.variable(draft, variable)
            elif variable.text[0] == "u":
                raise self.error(f"{variable.text} is a period, not a number: no constant", variable.column)
            else:
                draft.factors.append((Factor(variable.text, constant), variable.column))
        self.close(bracket)

    def inside(self) -> tuple[int, _Token, int]:
        """``[sign] variable [sign c]`` or ``[sign] c sign variable`` as sign, variable, constant."""
        sign, token = self.sign(), self.next
        if token.kind == "name":
            self.place += 1
            self.known(token)
            operator = self.take("+", "-")
            if operator is None:
                return sign, token, 0
            number = self.next
            if number.kind == "name":
                raise self.error("two variables in one bracket: products of sums have to be multiplied out")
            if number.kind != "number":
                raise self.dangling("a constant")
            # (-w + c) is -(w - c)
            value = sign * (-1 if operator.text == "-" else 1) * self.integer("a constant")
            return sign, token, self.constant(token.text, value, number.column)
        if token.kind == "number":
            value = sign * self.integer("a constant")
            operator = self.take("+", "-")
            if operator is None:
                raise self.dangling("'+' or '-' and a variable")
            variable = self.next
            if variable.kind != "name":
                raise self.dangling("a variable")
            self.place += 1
            self.known(variable)
            # (c - w) is -(w - c)
            sign = -1 if operator.text == "-" else 1
            return sign, variable, self.constant(variable.text, sign * value, token.column)
        if token.text == "(":
            raise self.error("brackets within brackets: products of sums have to be multiplied out")
        if token.text == ")":
            raise self.error("a variable is missing before ')'")
        raise self.dangling("a variable or a constant")

    def constant(self, name: str, value: int, column: int) -> int:
        """A constant beside a variable, if the factor's bits can hold it."""
        limit = 1 << WIDTHS.get(name, 9)
        if not -limit <= value < limit:
            what = "const" if name == "1" else name
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
            raise self.error("more than one variable and one constant in brackets: they have to be multiplied out")
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
