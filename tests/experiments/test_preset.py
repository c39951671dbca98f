"""Presets are read strictly, and those that come along make sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxpgrad.errors import InputError
from fxpgrad.experiments.baselines import BASELINES
from fxpgrad.experiments.cell import Cell, settings_of
from fxpgrad.experiments.kinds import check_keys
from fxpgrad.experiments.preset import combinations, load_preset, preset_names

GOOD = """
title = "A title"
kind = "file"
forwards = 4
[tasks]
model = ["m.fxp"]
data = ["d.npz"]
shift = ["none", "noise 5"]
[quick]
forwards = 1
tasks = { shift = ["none"] }
[[methods]]
name = "as it is"
times = 0.0
[[methods]]
name = "affine"
rates = [1e-3]
trainer = { scope = "affine" }
sweep = { epsilon = [1e-2, 3e-2], num_directions = [1, 3] }
"""


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("quick", [False, True])
def test_presets_that_come_along_are_sound(name, quick):
    preset = load_preset(name, quick=quick)
    check_keys(preset)
    assert combinations(preset.tasks)
    for method in preset.methods:
        assert method.baseline in ("", *BASELINES)
        assert method.config(method.rates[0] if method.rates else None, 0)
    if quick:
        whole = load_preset(name)
        assert len(combinations(preset.tasks)) <= len(combinations(whole.tasks))
        assert preset.forwards <= whole.forwards


def test_a_sweep_is_one_method_for_each_combination(tmp_path):
    preset = load_preset(written(tmp_path, GOOD))
    assert preset.name == "mine"
    assert len(preset.methods) == 5
    assert {m.config(1e-3, 0).num_directions for m in preset.methods[1:]} == {1, 3}
    assert {m.config(1e-3, 0).epsilon for m in preset.methods[1:]} == {1e-2, 3e-2}
    assert [task["shift"] for task in combinations(preset.tasks)] == ["none", "noise 5"]
    quick = load_preset(written(tmp_path, GOOD), quick=True)
    assert quick.forwards == 1
    assert quick.tasks == {"model": ["m.fxp"], "data": ["d.npz"], "shift": ["none"]}


def test_a_preset_says_only_what_differs_from_its_base(tmp_path):
    text = 'base = "omniglot"\ntitle = "Mine"\n[data]\nsensor = "none"\n[quick]\ntasks = { task = 2 }\n'
    mine, base = load_preset(written(tmp_path, text), quick=True), load_preset("omniglot", quick=True)
    assert (mine.name, mine.title) == ("mine", "Mine")
    assert mine.data == {**base.data, "sensor": "none"}
    assert mine.tasks == {**base.tasks, "task": [0, 1]}
    assert (mine.methods, mine.validation, mine.pairs) == (base.methods, base.validation, base.pairs)


def test_a_number_stands_for_so_many_tasks(tmp_path):
    text = GOOD.replace('shift = ["none", "noise 5"]', "shift = 3")
    assert load_preset(written(tmp_path, text)).tasks["shift"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "titel", "unknown key 'titel'; did you mean title"),
        ("rates", "rate", "unknown key 'rate'; did you mean rates"),
        ('title = "A title"\n', "", "lacks the key 'title'"),
        ('kind = "file"', 'kind = "files"', "kind must be one of shift, few_shot, file"),
        ("forwards = 4", 'forwards = "4"', "forwards must be float; got '4'"),
        ("forwards = 4", "forwards = 0", "forwards and batch must be positive"),
        ("forwards = 4", "forwards = 4\nseeds = [1.5]", "seeds must be list"),
        ('shift = ["none", "noise 5"]', "shift = []", "shift must be a list that is not empty"),
        ('scope = "affine"', 'scop = "affine"', "unknown key 'scop'; did you mean scope"),
        ('scope = "affine"', 'scope = "fine"', "scope must be one of"),
        ("rates = [1e-3]", "rates = [1e-3, 1e-2]", "several rates but there is no validation"),
        ("rates = [1e-3]", "", "rates must hold at least one"),
        ("[[methods]]", "[[methods]]\nname = 'as it is'\ntimes = 0.0\n[[methods]]", "different names"),
        ("[quick]", "compare = 3\n[quick]", "unknown key 'compare'|must be"),
        ("forwards = 4", 'forwards = 4\npairs = [["as it is"]]', "pairs must name two methods each"),
        ("forwards = 4", 'forwards = 4\npairs = [["as it is", "as is"]]', "'as is'; did you mean as it is"),
        ('kind = "file"', 'base = "omniglo"', "base must name a preset.*; did you mean omniglot"),
        ('kind = "file"', "base = 3", "base must name a preset that comes along; got 3"),
        ("[[methods]]", "[[methods", "is not TOML"),
        ("rates = [1e-3]", "rates = [1e-3]\nprobe = true", "probe must be list"),
        ("times = 0.0", "times = 0.0\nprobe = ['epsilom']", "unknown key 'epsilom'; did you mean epsilon"),
        ("sweep", "probe = ['head_rate']\n#", "needs an exact head"),
        ('scope = "affine" }\nsweep', "scope = 'lp', head = 'exact' }\nprobe = ['epsilon']\n#", "nothing"),
        (
            'rates = [1e-3]\ntrainer = { scope = "affine" }\nsweep',
            "trainer = { scope = 'affine', head = 'exact' }\nprobe = ['head_rate']\n#", "at least one",
        ),
        (
            'scope = "affine" }\nsweep', "head = 'exact', head_rate = 1 }\nprobe = ['head_rate']\n#",
            "not given as well",
        ),
        ("sweep", "baseline = 'ff_ft'\nprobe = ['epsilon']\n#", "probe is for the integer trainer"),
    ],
)  # fmt: skip
def test_a_preset_with_a_mistake_is_refused_by_name(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(InputError, match=message):
        check_keys(load_preset(written(tmp_path, GOOD.replace(old, new, 1))))


def test_what_is_measured_first_is_in_a_record_and_in_its_key(tmp_path):
    text = GOOD.replace('trainer = { scope = "affine" }', 'probe = []\ntrainer = { head = "exact" }')
    found = []
    for probe in ('"epsilon"', '"head_rate"', '"epsilon", "head_rate"', ""):
        preset = load_preset(written(tmp_path, text.replace("probe = []", f"probe = [{probe}]")))
        settings = settings_of(preset, Cell("test", preset.methods[1], {}, 0, None))
        found.append({key: settings[key] for key in ("probe", "find_head_rate") if key in settings})
    assert found == [{"probe": True}, {"find_head_rate": True}, {"probe": True, "find_head_rate": True}, {}]


def test_an_unknown_preset_names_the_nearest(tmp_path):
    with pytest.raises(InputError, match="did you mean omniglot"):
        load_preset("omniglott")
    with pytest.raises(InputError, match="cannot read the preset"):
        load_preset(str(tmp_path / "none.toml"))
    with pytest.raises(InputError, match="has no table 'quick'"):
        load_preset(
            written(tmp_path, GOOD.partition("[quick]")[0] + "[[methods]]\nname = 'a'\ntimes = 0.0\n"),
            quick=True,
        )


def test_the_preset_of_the_documentation_is_sound(tmp_path):
    page = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"
    if not page.exists():
        pytest.skip("the documentation is not beside these tests")
    block = page.read_text().split("```toml\n")[1].split("```")[0]
    preset = load_preset(written(tmp_path, block))
    check_keys(preset)
    assert len(preset.methods) == 3
    for name in preset_names():
        assert f"`{name}`" in page.read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "title", ""),  # as it is: nothing to object to
        ("[1e-2, 3e-2]", "0.1", "sweep must hold lists that are not empty; got epsilon = 0.1"),
        ("[1e-2, 3e-2]", "[]", "sweep must hold lists that are not empty"),
        ("[1e-2, 3e-2]", '["a"]', "epsilon must be a positive finite number; got 'a'"),
        ("epsilon = [1e-2, 3e-2]", "seed = [1, 2]", "seed is no trainer setting of a preset"),
        ("epsilon = [1e-2, 3e-2]", "learning_rate = [1e-3]", "learning_rate is no trainer setting"),
        ("epsilon = [1e-2, 3e-2]", 'relative = ["yes"]', "relative must be true or false; got 'yes'"),
        ("rates = [1e-3]", "rates = [1e-3, -1.0]", "learning_rate must be a positive finite number"),
        ("rates = [1e-3]", "rates = [1e-3, 1e-3]", "rates must differ"),
        ("times = 0.0", "times = nan", "times must be in"),
        ("times = 0.0", "times = -1.0", "times must be in"),
        ("forwards = 4", "forwards = nan", "forwards at most"),
        ("forwards = 4", "forwards = inf", "forwards at most"),
        ("forwards = 4", "forwards = 4\ncheckpoints = 1000000000", "checkpoints must be in"),
        ("forwards = 4", "forwards = 4\nseeds = [0, 0]", "seeds must be different"),
        ("forwards = 4", "forwards = 4\nseeds = [-1]", "seeds must be different integers in"),
        ("forwards = 4", 'forwards = 4\nname = "../x"', "its name must do for a file"),
        ("forwards = 4", 'forwards = 4\nname = ""', "its name must do for a file"),
        ('shift = ["none", "noise 5"]', 'shift = ["none", "none"]', "shift holds a value twice"),
        ('shift = ["none", "noise 5"]', "shift = [3]", "shift must be 'none', 'noise N'"),
        ('shift = ["none", "noise 5"]', 'shift = ["contrast 9"]', "shift must be 'none', 'noise N'"),
        ('shift = ["none", "noise 5"]', 'shift = ["noise nan"]', "shift must be 'none', 'noise N'"),
        ('shift = ["none", "noise 5"]', "shift = 10000000000", "shift must be a list"),
        ('model = ["m.fxp"]', "model = [3]", "model must be the name of a file; got 3"),
        ('model = ["m.fxp"]', "model = [2020-01-01]", "model must be the name of a file"),
        ("[tasks]", '[data]\ncount = "a"\n[tasks]', "data: count must be an integer of at least 2; got 'a'"),
        ("[tasks]", "[data]\nshare = nan\n[tasks]", "data: share must be a number between 0 and 1"),
        ("times = 0.0", 'rates = [1e-3]\nbaseline = "bpft"', "baseline must be one of"),
        ("times = 0.0", 'rates = [1e-3]\nbaseline = "bp_ft"', "a model file has no float network"),
        (
            "times = 0.0", 'rates = [1e-3]\nbaseline = "bp_ft"\noptions = { optimiser = "adam" }',
            "unknown key 'optimiser'; did you mean optimizer",
        ),
        ("times = 0.0", "times = 0.0\noptions = { last = 1 }", "options are for baselines"),
        ("times = 0.0", "times = 0.0\nalign = -5", "align must be a number of samples"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_before_anything_runs(tmp_path, old, new, message):
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    if not message:
        check_keys(load_preset(path))
        return
    with pytest.raises(InputError, match=message):
        check_keys(load_preset(path))


PROTOTYPES = """
title = "t"
kind = "few_shot"
forwards = 6
batch = 10
data = { ways = 5, shots = 2, queries = 3 }
tasks = { set = ["omniglot"], net = ["bundled"], split = ["novel"], task = 1 }
[[methods]]
name = "ff"
loss = "prototypes"
rates = [1e-3]
weight_bits = 16
trainer = { scope = "ft" }
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "title", ""),
        ('"prototypes"', '"prototype"', "loss must be one of head, prototypes; got 'prototype'"),
        ('"ft"', '"lp"', "is for the scopes ft, affine and last_k"),
        ('"ft"', '"lp", head = "exact"', "is for the scopes ft, affine and last_k"),
        ('"ft"', '"affine", head = "exact"', "has no head and needs all rows at once"),
        ('"ft"', '"affine", rows = "split"', "has no head and needs all rows at once"),
        ("rates", 'probe = ["epsilon"]\nrates', "without probe"),
        ("trainer = { scope", 'baseline = "qat_ft"\n# { scope', "of bp_ and of ff_ baselines"),
        ("trainer = { scope", 'baseline = "bp_lp"\n# { scope', "is for the scopes ft, affine and last_k"),
        (
            "trainer = { scope",
            'baseline = "bp_affine"\noptions = { whole_head = true }\n#',
            "and no whole_head",
        ),
        ("batch = 10", "batch = 9", "which must hold all 10 samples to adapt by; batch is 9"),
        ("shots = 2", "shots = 1", "needs 2 shots or more; got 1"),
        ("rates", 'rate_of = "head_rate"\nrates', "rate_of 'head_rate' needs the trainer setting head"),
    ],
)
def test_the_loss_of_prototypes_is_for_what_has_them(tmp_path, old, new, message):
    assert old in PROTOTYPES
    path = written(tmp_path, PROTOTYPES.replace(old, new, 1))
    if not message:
        check_keys(load_preset(path))
        return
    with pytest.raises(InputError, match=message):
        check_keys(load_preset(path))


def test_the_loss_of_prototypes_is_not_for_files(tmp_path):
    text = GOOD.replace("rates = [1e-3]", 'rates = [1e-3]\nloss = "prototypes"')
    with pytest.raises(InputError, match="'prototypes', which is for few-shot tasks"):
        check_keys(load_preset(written(tmp_path, text)))


def test_only_a_loss_that_is_not_the_usual_one_is_in_a_key(tmp_path):
    for text, wanted in ((PROTOTYPES, "prototypes"), (PROTOTYPES.replace('loss = "prototypes"', ""), None)):
        preset = load_preset(written(tmp_path, text))
        settings = settings_of(preset, Cell("test", preset.methods[0], {}, 0, 1e-3))
        assert settings.get("loss") == wanted


def test_quick_must_be_a_table(tmp_path):
    with pytest.raises(InputError, match="quick must be a table; got 3"):
        load_preset(written(tmp_path, "quick = 3\n" + GOOD.replace("[quick]", "[data]")))


def test_a_setting_that_a_kind_needs_is_asked_for(tmp_path):
    text = GOOD.replace('"file"', '"few_shot"').partition("[tasks]")
    text = f"{text[0]}[tasks]\nset = ['omniglot']\n[[methods]]\nname = 'a'\ntimes = 0.0\n"
    with pytest.raises(InputError, match="lacks 'ways' in its table 'data'"):
        check_keys(load_preset(written(tmp_path, text)))


def test_the_shorter_form_may_run_some_methods_only(tmp_path):
    text = GOOD.replace("[quick]", '[quick]\nmethods = ["as it is"]')
    assert [m.name for m in load_preset(written(tmp_path, text), quick=True).methods] == ["as it is"]
    assert len(load_preset(written(tmp_path, text)).methods) == 5
    for wrong, words in (
        ('["as it was"]', "unknown key 'as it was'.*as it is"),
        ("[]", "list of names"),
        ("3", "names"),
    ):
        text = GOOD.replace("[quick]", f"[quick]\nmethods = {wrong}")
        with pytest.raises(InputError, match=words):
            load_preset(written(tmp_path, text), quick=True)
