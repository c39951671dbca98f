"""Lines of generated C: comments and definitions that are no longer than a page is wide."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.codegen.c_project import c_project
from fxpgrad.codegen.c_text import WIDTH, comment, comment_lines, noted, wrapped
from fxpgrad.codegen.training_form import training_form
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from tests.program.random_programs import small_network

LONG = "a_network_with_a_name/a_block_of_it/a_layer/BiasAdd/ReadVariableOp/resource"
words = st.lists(st.text("abc/[]_-", min_size=1, max_size=30), min_size=1, max_size=30)


@given(words, st.sampled_from(["", "    "]))
def test_a_comment_is_wrapped_and_keeps_its_words(found, indent):
    text = comment(" ".join(found), indent)
    assert all(len(line) <= WIDTH and line.startswith(indent) for line in text.splitlines())
    assert text.startswith(f"{indent}/* ")
    assert text.endswith(" */\n")
    inner = text.strip().removeprefix("/*").removesuffix("*/").replace("\n" + indent + " * ", " ")
    assert inner.split() == found


def test_a_note_stands_behind_its_line_where_both_fit_and_above_it_otherwise():
    assert noted("x;", "a note") == "x; /* a note */\n"
    code = "x" * (WIDTH - len(" /* n */"))
    assert noted(code, "n") == f"{code} /* n */\n"
    assert noted(f"{code}x", "n") == f"/* n */\n{code}x\n"


def test_lines_within_a_comment_are_wrapped():
    lines = comment_lines("word " * 60).splitlines()
    assert len(lines) > 1
    assert all(line.startswith(" * word") and len(line) <= WIDTH for line in lines)


def test_rows_of_arguments_leave_room_for_what_ends_a_call():
    items = ["x" * 9] * 60
    assert max(len(f"{line});") for line in wrapped(items, "    ").splitlines()) <= WIDTH


def with_long_names(program: Program) -> Program:
    """Return the program with names of layers, tensors and constants as converters make them."""

    def long(names):
        return {name: f"{LONG}{index}" for index, name in enumerate(names)}

    tensors, constants = long(program.tensors), long(program.constants)
    constants = {name: f"{new}/c" for name, new in constants.items()}
    calls = tuple(
        dataclasses.replace(
            call,
            name=f"{LONG}{index}",
            inputs=tuple(tensors[name] for name in call.inputs),
            output=tensors[call.output],
            constants={role: constants[name] for role, name in call.constants.items()},
        )
        for index, call in enumerate(program.calls)
    )
    return dataclasses.replace(
        program,
        tensors={tensors[n]: dataclasses.replace(t, name=tensors[n]) for n, t in program.tensors.items()},
        constants={
            constants[n]: dataclasses.replace(c, name=constants[n]) for n, c in program.constants.items()
        },
        calls=calls,
        inputs=tuple(tensors[name] for name in program.inputs),
        outputs=tuple(tensors[name] for name in program.outputs),
    )


@pytest.mark.parametrize("scope", ["lp", "ft", "affine"])
def test_no_line_of_a_project_is_longer_than_a_page_is_wide(scope):
    program = with_long_names(lower(small_network(classes=4)[1]))
    config = TrainerConfig(epsilon=1.0, learning_rate=1e-3, scope=scope)
    project = c_project(program, training=training_form(program, config, 2))
    written = {n: text for n, text in project.files.items() if n.endswith((".c", ".h")) and "/" not in n}
    assert f"{project.text.prefix}.c" in written
    for name, text in written.items():
        assert [line for line in text.splitlines() if len(line) > WIDTH] == [], name
