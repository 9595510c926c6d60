"""The rule language: what a text means, and where a wrong one is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromorph.errors import RuleError, ValidationError
from neuromorph.language import format_products, parse_products, variable_columns
from neuromorph.rule import FUNCTIONS, VARIABLES, WIDTHS, Factor, Product


def factor(variable, constant=0, function="", second="", sign=1):
    return Factor(variable, constant, function, second, sign)


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
    "y0*sgn(3 - t)": Product("y0", -1, 0, (factor("t", -3, "sgn"),)),
    "y0*sgn(-w)": Product("y0", -1, 0, (factor("w", 0, "sgn"),)),
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
    # two variables, and functions; a sign that cannot leave its brackets stays
    "x0*(w+x1)": Product("x0", 1, 0, (factor("w", 0, "", "x1"),)),
    "x0*(x1 + y1 - 40)": Product("x0", 1, 0, (factor("x1", -40, "", "y1"),)),
    "x0*(w - d)": Product("x0", 1, 0, (factor("w", 0, "", "d", -1),)),
    "x0*(-w + d + 3)": Product("x0", 1, 0, (factor("d", 3, "", "w", -1),)),
    "x0*(3 - w - d)": Product("x0", -1, 0, (factor("w", -3, "", "d"),)),
    "x0*sgn(x1)": Product("x0", 1, 0, (factor("x1", 0, "sgn"),)),
    "x0*sgn(3 - w - d)": Product("x0", -1, 0, (factor("w", -3, "sgn", "d"),)),
    "x0*pos(m1 - 20)": Product("x0", 1, 0, (factor("m1", -20, "pos"),)),
    "x0*pos(40 - w)": Product("x0", 1, 0, (factor("1", 40, "pos", "w", -1),)),
    "x0*on(-w)": Product("x0", 1, 0, (factor("1", 0, "on", "w", -1),)),
    "x0*on(x1 + y1 - 60)": Product("x0", 1, 0, (factor("x1", -60, "on", "y1"),)),
    "x0*-pos(5 - w + d)": Product("x0", -1, 0, (factor("d", 5, "pos", "w", -1),)),
    "u15*q*m4": Product("u", 1, 0, (factor("q"), factor("m4")), 15),
    "x0*const(-20)": Product("x0", 1, 0, (factor("1", -20),)),
    " x0\t*\n w ": Product("x0", 1, 0, (factor("w"),)),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_meaning_of_a_product(text):
    assert parse_products(text) == (MEANINGS[text],)


def test_modulators_have_the_names_that_a_user_gives_them():
    rule = parse_products("u0*t*reward - x0*pos(gate - 20)", ("reward", "gate"))
    assert rule == parse_products("u0*t*m1 - x0*pos(m2 - 20)")
    assert format_products(rule, ("reward", "gate")) == "u0*t*reward - x0*pos(gate - 20)"
    with pytest.raises(RuleError, match="did you mean reward"):
        parse_products("u0*t*rewrd", ("reward",))


@pytest.mark.parametrize("name", ["w", "u3", "pos", "m1", "a b", "3d"])
def test_names_of_modulators_are_no_variables(name):
    with pytest.raises(ValidationError, match="no variable or function"):
        parse_products("u0*w", (name,))


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
    "u16*w": (0, "u0..u15"),
    "u*w": (0, "u0..u15"),
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
    "x0*(w+x1+y1)": (9, "more than two variables"),
    "x0*(w+x1+2+d)": (10, "more than two variables and one constant"),
    "x0*(w+1+2)": (8, "more than one constant"),
    "x0*(u2+w)": (4, "no other variable"),
    "x0*pos(u2)": (7, "not the period u2"),
    "x0*pos(-w-d)": (8, "cannot subtract two variables"),
    "x0*pos(3)": (8, "a variable is needed"),
    "x0*on": (3, "'(' is missing"),
    "x0*pos(w)^2": (9, "write the factor twice"),
    "x0*(x1+y1-600)": (10, "-512..511"),
    "x0*pos(520-w)": (7, "-512..511"),
    "x0*m5": (3, "'m5' is unknown"),
    "x0*rewrd": (3, "is unknown"),
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


NUMBERS = tuple(name for name in VARIABLES if name != "1")


@st.composite
def factors(draw):
    variable = draw(st.sampled_from(VARIABLES))
    function = "" if variable == "1" else draw(st.sampled_from(FUNCTIONS))
    second = draw(st.sampled_from(("", "", *NUMBERS)))
    if variable == "1" and second:
        constant, function = draw(st.integers(-512, 511)), draw(st.sampled_from(("pos", "on")))
        return Factor("1", constant, function, second, -1)
    limit = 512 if second else 1 << WIDTHS[variable]
    constant = draw(st.integers(-limit, limit - 1) | st.just(0))
    return Factor(variable, constant, function, second, draw(st.sampled_from((1, -1))) if second else 1)


@st.composite
def products(draw):
    dependency = draw(st.sampled_from(("x0", "y0", "u")))
    return Product(
        dependency,
        draw(st.integers(-8, 7).filter(bool)),
        draw(st.integers(-7, 8)),
        tuple(draw(st.lists(factors(), max_size=6))),
        draw(st.integers(0, 15)) if dependency == "u" else 0,
    )


@settings(max_examples=400)
@given(st.lists(products(), min_size=1, max_size=5).map(tuple))
def test_printed_rules_parse_to_themselves(rule):
    assert parse_products(format_products(rule)) == rule


@settings(max_examples=300)
@given(st.text(alphabet="xyuwdtmqpo0123^*+-() sgn.", max_size=30))
def test_any_text_parses_or_says_where_it_does_not(text):
    try:
        rule = parse_products(text)
    except RuleError as error:
        place = error.column
    else:
        place = 0
        assert parse_products(format_products(rule)) == rule
    assert 0 <= place <= len(text)
