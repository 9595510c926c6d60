"""The rule language: what a text means, and where a wrong one is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromorph.errors import RuleError, ValidationError
from neuromorph.language import format_products, parse_products, variable_columns
from neuromorph.rule import WIDTHS, Factor, Product


def factor(variable, constant=0, sgn=False):
    return Factor(variable, constant, sgn)


MEANINGS = {
    "2^-2*x1*y0": Product("y0", 1, -2, (factor("x1"),)),
    "-2^-2*y1*x0": Product("x0", -1, -2, (factor("y1"),)),
    "+x0": Product("x0", 1, 0),
    "3*x0": Product("x0", 3, 0),
    "3*2^-4*x0": Product("x0", 3, -4),
    "2^-4*x0*3": Product("x0", 3, -4),
    "2^2*2^-5*x0": Product("x0", 1, -3),
    # the sign of a factor moves into the scale
    "x0 * -2*y1": Product("x0", -2, 0, (factor("y1"),)),
    "x0*(-w)": Product("x0", -1, 0, (factor("w"),)),
    "-x0*(-w)": Product("x0", 1, 0, (factor("w"),)),
    "(-2)*x0": Product("x0", -2, 0),
    # (c - w) is -(w - c), wherever it stands
    "2^-4*y0*x1*(255-w)": Product("y0", -1, -4, (factor("x1"), factor("w", -255))),
    "y0*(3 - x1)": Product("y0", -1, 0, (factor("x1", -3),)),
    "y0*(-x1 + 3)": Product("y0", -1, 0, (factor("x1", -3),)),
    "y0*(-3 - x1)": Product("y0", -1, 0, (factor("x1", 3),)),
    "y0*(3 + x1)": Product("y0", 1, 0, (factor("x1", 3),)),
    "y0*(x1 - 3)": Product("y0", 1, 0, (factor("x1", -3),)),
    "y0*sgn(3 - t)": Product("y0", -1, 0, (factor("t", -3, True),)),
    "y0*sgn(-w)": Product("y0", -1, 0, (factor("w", 0, True),)),
    "2^-3*(w)*y0": Product("y0", 1, -3, (factor("w"),)),
    "(2^-3)*y0": Product("y0", 1, -3),
    # the dependency: the period if there is one, else the first spike
    "x0*u2*y1": Product("u", 1, 0, (factor("x0"), factor("y1")), 2),
    "u2*x0*y1": Product("u", 1, 0, (factor("x0"), factor("y1")), 2),
    "x1*w*u0": Product("u", 1, 0, (factor("x1"), factor("w"))),
    "y0*x0": Product("y0", 1, 0, (factor("x0"),)),
    "x0*y0": Product("x0", 1, 0, (factor("y0"),)),
    "(x0)*y0": Product("x0", 1, 0, (factor("y0"),)),
    "(x0+1)*y0": Product("y0", 1, 0, (factor("x0", 1),)),
    # scales that need another mantissa to fit
    "8*x0": Product("x0", 4, 1),
    "-8*x0": Product("x0", -8, 0),
    "-16*x0": Product("x0", -8, 1),
    "96*x0": Product("x0", 6, 4),
    "2^10*x0": Product("x0", 4, 8),
    "4*2^-8*x0": Product("x0", 2, -7),
    "x0*const(-20)": Product("x0", 1, 0, (factor("1", -20),)),
    " x0\t*\n w ": Product("x0", 1, 0, (factor("w"),)),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_meaning_of_a_product(text):
    assert parse_products(text) == (MEANINGS[text],)


def test_a_rule_is_a_sum_of_products():
    assert parse_products("x0 - y0 + -u1*w - -2*x0") == (
        Product("x0", 1, 0),
        Product("y0", -1, 0),
        Product("u", -1, 0, (factor("w"),), 1),
        Product("x0", 2, 0),
    )


WRONG = {
    # text: (column from 0, part of the message)
    "": (0, "empty"),
    "   ": (0, "empty"),
    "x1": (0, "no dependency"),
    "y0 + 2*w": (5, "no dependency"),
    "2^-2": (0, "no dependency"),
    "sgn(w)": (0, "no dependency"),
    "x0*z1": (3, "'z1' is unknown; did you mean"),
    "X0*y1": (0, "did you mean x0"),
    "x0*weight": (3, "is unknown"),
    "x0*y4": (3, "did you mean"),
    "x0*u1*u2": (6, "u2 after u1"),
    "u1*(u1)*w": (4, "u1 after u1"),
    "u12*w": (0, "u0..u9"),
    "u*w": (0, "u0..u9"),
    "9*x0": (0, "the nearest is 2^3"),
    "x0*11": (3, "cannot be held"),
    "x0 + 3*5*y0": (5, "15 cannot be held"),
    "7*2^9*x0": (0, "the nearest is 7*2^8"),
    "2^-9*x0": (0, "the nearest is 2^-7"),
    "2^999999999*x0": (0, "the nearest is 7*2^8"),
    "9999999999*x0": (0, "too large"),
    "0*x0": (0, "changes nothing"),
    "0.3*x0": (0, "the nearest is 5*2^-4"),
    "x0*.25": (3, "the nearest is 2^-2"),
    "x0/2": (2, "no division"),
    "x1^2*y0": (2, "write the factor twice"),
    "x0*x1**2": (5, "write the factor twice"),
    "x0*(w)^2": (6, "write the factor twice"),
    "2^x1*x0": (2, "an integer exponent"),
    "2^": (1, "an integer exponent is missing"),
    "x0*2^-": (5, "an integer exponent is missing"),
    "3^2*x0": (0, "only 2 takes an exponent"),
    "x0*(w+x1)": (6, "two variables"),
    "x0*(w+1+2)": (7, "more than one"),
    "x0*(w*2)": (5, "a product within brackets"),
    "2*(x0*w)": (5, "a product within brackets"),
    "x0*((w))": (4, "brackets within brackets"),
    "x0*()": (4, "missing before ')'"),
    "x0*(w": (3, "not closed"),
    "x0*sgn(w": (6, "not closed"),
    "x0)": (2, "closes nothing"),
    "x0*(w))": (6, "closes nothing"),
    "x0*": (2, "missing after '*'"),
    "x0 +": (3, "missing after '+'"),
    "x0 - ": (3, "missing after '-'"),
    "*x0": (0, "a factor is needed"),
    "x0**w": (2, "exponent"),
    "x0 x1": (3, "an operator"),
    "2x0": (1, "an operator"),
    "x0(w)": (2, "an operator"),
    "x0*(w-)": (6, "a constant is needed"),
    "x0*(3-)": (6, "a variable is needed"),
    "x0*(-)": (5, "missing before ')'"),
    "x0--*w": (4, "a factor is needed"),
    "x0*(300-x1)": (4, "-128..127"),
    "x0*(w+512)": (6, "-512..511"),
    "x0*(w-513)": (6, "too large"),
    "x0*const(400)": (9, "-256..255"),
    "x0*const(w)": (9, "one integer"),
    "x0*(2.5-w)": (4, "made of integers"),
    "x0*sgn(x1)": (7, "sgn takes w, d or t"),
    "x0*sgn(w*t)": (8, "a product within brackets"),
    "x0*sgn": (3, "'(' is missing"),
    "(u2+3)*x0": (1, "no constant"),
    "x0*x1*x1*x1*x1*x1*x1*x1": (21, "7 factors"),
    "dw = x0": (3, "right-hand side"),
    "x0*[w]": (3, "round brackets"),
    "x0 \N{MINUS SIGN} y0": (3, "not part of the language"),
    "x0;": (2, "not part of the language"),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_rule_is_refused_at_its_column(text):
    column, part = WRONG[text]
    with pytest.raises(RuleError) as caught:
        parse_products(text)
    assert part in str(caught.value)
    assert caught.value.column == column
    assert caught.value.text == text


def test_a_rule_is_text():
    with pytest.raises(ValidationError, match="a rule is text"):
        parse_products(3)


def test_where_variables_are_mentioned():
    assert variable_columns("x0*(y1 - 2) + y1*sgn(t)*u3") == {"x0": 0, "y1": 4, "sgn": 17, "t": 21, "u3": 24}


TEXT_VARIABLES = ("x0", "y0", "x1", "x2", "y1", "y2", "y3", "w", "d", "t", "1")


@st.composite
def factors(draw):
    variable = draw(st.sampled_from(TEXT_VARIABLES))
    limit = 1 << WIDTHS[variable]
    constant = draw(st.integers(-limit, limit - 1) | st.just(0))
    return Factor(variable, constant, variable in ("w", "d", "t") and draw(st.booleans()))


@st.composite
def products(draw):
    dependency = draw(st.sampled_from(("x0", "y0", "u")))
    return Product(
        dependency,
        draw(st.integers(-8, 7).filter(bool)),
        draw(st.integers(-7, 8)),
        tuple(draw(st.lists(factors(), max_size=6))),
        draw(st.integers(0, 9)) if dependency == "u" else 0,
    )


@settings(max_examples=400, deadline=None)
@given(st.lists(products(), min_size=1, max_size=5).map(tuple))
def test_printed_rules_parse_to_themselves(rule):
    assert parse_products(format_products(rule)) == rule


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="xyuwdt0123^*+-() sgn.", max_size=30))
def test_any_text_parses_or_says_where_it_does_not(text):
    try:
        rule = parse_products(text)
    except RuleError as error:
        place = error.column
    else:
        place = 0
        assert parse_products(format_products(rule)) == rule
    assert 0 <= place <= len(text)
