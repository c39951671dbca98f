"""`fxpgrad experiment`: chosen rates, tables, one page, and a run that goes on where it was."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from tests.cli.small_models import assert_refused, call, write_data

PRESET = """
title = "A <small> experiment"
kind = "file"
seeds = [0, 1]
forwards = 12
batch = 9
checkpoints = 2
compare = "lp"
[data]
share = 0.6
[tasks]
model = ["classifier.fxp"]
data = ["data.npz"]
shift = ["none", "noise 20"]
[validation]
model = ["classifier.fxp"]
data = ["data.npz"]
shift = ["noise 10"]
[[methods]]
name = "as it is"
weight_bits = 16
times = 0.0
[[methods]]
name = "lp"
rates = [1e-3, 1e-1]
trainer = { scope = "lp", epsilon = 1e-2 }
[[methods]]
name = "affine"
rates = [1e-2]
trainer = { scope = "affine", rows = "split", distribution = "rademacher", epsilon = 3e-2 }
[[methods]]
name = "hopeless"
rates = [1e-3]
trainer = { scope = "ft", epsilon = 1e-9 }
"""


@pytest.fixture
def folder(tmp_path, classifier):
    (tmp_path / "classifier.fxp").write_bytes(classifier.path.read_bytes())
    write_data(tmp_path / "data.npz", x=classifier.x, y=classifier.y)
    (tmp_path / "small.toml").write_text(PRESET)
    return tmp_path


def run(folder, *options):
    return call(
        "experiment", folder / "small.toml", "--data", folder, "-o", folder, "--processes", 1, *options
    )


def test_an_experiment_is_judged_recorded_and_shown(folder):
    result = run(folder, "--json")
    assert result.exit_code == 0, result.stderr
    payload = json.loads(result.stdout)
    lines = [json.loads(line) for line in (folder / "small.jsonl").read_text().splitlines()]
    assert (
        len(lines) == 2 + 2 + 3 * 2 * 2
    )  # two rates searched; as it is once a task; two seeds of the others
    assert payload["rates"]["lp"] in (1e-3, 1e-1)
    groups = {group["name"]: {row["method"]: row for row in group["rows"]} for group in payload["groups"]}
    assert list(groups)[-1] == "all"
    assert groups["all"]["lp"]["cells"] == 4
    assert groups["all"]["lp"]["difference"] is None
    assert groups["all"]["affine"]["difference"] is not None
    assert groups["all"]["hopeless"]["stopped"] == 4
    as_it_is = groups["all"]["as it is"]["accuracy"]
    assert groups["all"]["hopeless"]["accuracy"] == pytest.approx(as_it_is)
    trained = [line for line in lines if line["method"] == "affine"]
    assert all(len(line["curve"]) == 3 and line["weights_sha256"] for line in trained)
    start, *_ = trained[0]["curve"]
    assert start[0] == 0
    assert start[2] == pytest.approx(next(r["accuracy"] for r in lines if r["method"] == "as it is"))
    seconds = [point[1] for point in trained[0]["curve"]] + [trained[0]["cpu_seconds"]]
    assert seconds == sorted(seconds)
    page = (folder / "small.html").read_text()
    assert "At shares of the CPU time that lp takes" in page
    assert "A &lt;small&gt; experiment" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_a_second_run_computes_nothing_and_an_interrupted_one_goes_on_to_the_same_bits(folder):
    assert run(folder).exit_code == 0
    path = folder / "small.jsonl"
    whole = path.read_text()
    again = run(folder)
    assert again.exit_code == 0
    assert path.read_text() == whole
    assert "all" in again.stdout
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:5]) + lines[5][:40])
    assert run(folder, "--json").exit_code == 0

    def digests(text):
        records = map(json.loads, text.splitlines())
        return {record["key"]: record.get("weights_sha256") for record in records}

    assert digests(path.read_text()) == digests(whole)


def test_what_has_been_run_is_shown_while_the_rest_is_not(folder):
    path = folder / "small.jsonl"
    assert_refused(run(folder, "--so-far"), "the search for learning rates has not ended")
    assert not path.exists()
    assert run(folder).exit_code == 0
    whole = path.read_text()
    kept = [line for line in whole.splitlines(keepends=True) if json.loads(line)["phase"] == "search"]
    path.write_text("".join(kept))
    assert_refused(run(folder, "--so-far"), "no task has been run by every method")
    path.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    payload = json.loads(run(folder, "--so-far", "--json").stdout)
    assert payload["tasks_left"] == 1
    assert {record["task"]["shift"] for record in payload["records"]} == {"none"}
    assert [group["name"] for group in payload["groups"]] == ["classifier.fxp data.npz none"]
    assert "So far: 1 tasks" in (folder / "small.html").read_text()
    assert len(path.read_text().splitlines()) == len(whole.splitlines()) - 1


def test_the_order_of_the_axes_in_a_record_does_not_matter(folder):
    assert run(folder).exit_code == 0
    path = folder / "small.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records[::2]:
        record["task"] = dict(reversed(record["task"].items()))
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    names = [group["name"] for group in json.loads(run(folder, "--json").stdout)["groups"]]
    assert names == ["classifier.fxp data.npz none", "classifier.fxp data.npz noise 20", "all"]


def test_the_head_rate_of_an_exact_head_is_found_within_the_budget(folder, classifier):
    rng = np.random.default_rng(0)
    rows = np.arange(240) % len(classifier.x)
    noise = rng.integers(-20, 21, (240, *classifier.x.shape[1:]))
    x = np.clip(classifier.x[rows] + noise, -128, 127).astype(np.int8)
    write_data(folder / "data.npz", x=x, y=classifier.y[rows])
    method = """[[methods]]
name = "exact head"
probe = ["head_rate"]
trainer = { scope = "lp", head = "exact", schedule = "linear" }
"""
    text = PRESET.partition("[[methods]]")[0].replace('"lp"', '"exact head"').replace("[0, 1]", "[0]")
    (folder / "small.toml").write_text(text.replace("forwards = 12", "forwards = 40") + method)
    assert run(folder).exit_code == 0
    records = [json.loads(line) for line in (folder / "small.jsonl").read_text().splitlines()]
    assert len(records) == 2
    for record in records:
        assert record["find_head_rate"]
        assert record["rate"] is None
        assert record["config"]["head_rate"] in (1, 3, 10, 30, 100)
        assert record["forwards_done"] == pytest.approx(40, abs=9 / 144)
        assert 40 - 4 <= record["steps"] * 9 / 144 < 40 - 100 / 144


def test_presets_are_listed():
    result = call("experiment", "--list")
    assert result.exit_code == 0
    assert "omniglot" in result.stdout
    assert "omniglot" in [p["name"] for p in json.loads(call("experiment", "--json").stdout)["presets"]]


def test_output_folder_is_made(folder):
    assert run(folder, "-o", folder / "new" / "results").exit_code == 0
    found = sorted(path.name for path in (folder / "new" / "results").iterdir())
    assert found == ["small.html", "small.jsonl"]


def test_bad_input_is_one_line(folder):
    assert_refused(call("experiment", "omniglut"), "did you mean omniglot")
    assert_refused(call("experiment", "omniglot", "--data", folder / "none"), "there is no folder")
    assert_refused(run(folder, "-o", folder / "small.toml"), "cannot write", "not a folder")
    assert_refused(run(folder, "--quick"), "has no table 'quick'")
    (folder / "small.jsonl").write_text("something else\n")
    assert_refused(run(folder), "line 1 of", "is not a record")
    (folder / "small.jsonl").unlink()
    (folder / "data.npz").unlink()
    assert_refused(run(folder), "data.npz")


def test_what_other_processes_have_found_is_kept_where_one_fails(folder):
    (folder / "small.toml").write_text("""
title = "t"
kind = "file"
tasks = { model = ["bad.fxp", "classifier.fxp"], data = ["data.npz"], shift = ["none"] }
methods = [{ name = "as it is", times = 0.0 }]
""")
    (folder / "bad.fxp").write_bytes(b"nothing")
    assert_refused(run(folder, "--processes", 2), "bad.fxp")
    records = [json.loads(line) for line in (folder / "small.jsonl").read_text().splitlines()]
    assert [record["task"]["model"] for record in records] == ["classifier.fxp"]


def test_a_baseline_without_pytorch_says_how_to_get_it_before_anything_runs(folder, monkeypatch):
    method = '[[methods]]\nname = "bp"\nbaseline = "bp_lp"\nrates = [1e-3]\n'
    (folder / "few.toml").write_text(f"""
title = "t"
kind = "few_shot"
data = {{ ways = 2, shots = 2, queries = 2 }}
tasks = {{ set = ["omniglot"], net = ["bundled"], split = ["novel"], task = 1 }}
{method}""")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = call("experiment", folder / "few.toml", "-o", folder, "--processes", 1)
    assert_refused(result, "'bp' is a baseline, which needs PyTorch", 'pip install "fxpgrad[torch]"')
    assert not (folder / "few.jsonl").exists()
