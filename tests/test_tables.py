"""Numbers in README and docs are those that were measured."""

import json
from pathlib import Path

import pytest

from benchmarks import applications, record, seed_tables, tables

PAGES = [tables.ROOT / "README.md", *sorted((tables.ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_no_table_is_stale(page):
    text = page.read_text()
    assert tables.renewed(text) == text, "run: python -m benchmarks.tables"


def test_a_changed_measurement_makes_a_table_stale(monkeypatch, tmp_path):
    text = (tables.ROOT / "README.md").read_text()
    for path in record.RESULTS.glob("*.json"):
        document = json.loads(path.read_text())
        for row in document.get("rows", []):
            row |= {"ratio": 77.0} if "ratio" in row else {}
            found = row.get("metrics", [])
            for metric in found.values() if isinstance(found, dict) else found:
                metric["mean" if "mean" in metric else "value"] += 1
        (tmp_path / path.name).write_text(json.dumps(document))
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    assert tables.renewed(text) != text


def test_solvers_have_the_scores_that_they_have():
    def scored(name, value, n=10):
        return {"score": name, "unit": "", "value": value, "stderr": 0.1, "n": n}

    def rows(extra):
        model = {
            "name": "m",
            "kind": "model",
            "model": "VAE",
            "fit_cpu_seconds": 60,
            "command": "genlit fit",
            "metrics": [scored("mse", 2.0 + extra), scored("more", 5.0)],
        }
        plain = {
            "name": "b",
            "kind": "baseline",
            "metrics": [scored("mse", 4.0), scored("late", 0, 0)],
        }
        return [model, plain]

    about = {"task": "t", "problems": 10, "source": "s", "published": []}
    seeds = [{"seed": k, "rows": rows(2.0 * k), **about} for k in range(2)]
    facts = {"command": "c", "date": "d", "machine": "m", "versions": {}, "seconds": 1, "note": "n"}
    lines = seed_tables.application({"rows": seeds, **facts}).splitlines()
    assert lines[0] == "| solver | `mse` | `more` | `late` | training |"
    assert lines[2] == "| m (VAE) | 3.0 ± 1.4 | 5 | - | 1.0 min |"
    assert lines[3] == "| b | 4 | - | - | - |"


def test_a_study_keeps_its_seeds_apart_on_the_same_problems(monkeypatch, tmp_path):
    asked = []

    def compared(command, *words):
        asked.append(words)
        out = Path(words[words.index("--out") + 1])
        out.mkdir(parents=True)
        told = {"seed": 0, "best": {}, "rows": [{"run": "r", "name": "n"}, {"name": "random"}]}
        (out / "comparison.json").write_text(json.dumps(told))

    monkeypatch.setattr(applications, "ROOT", tmp_path)
    monkeypatch.setattr(applications, "trained", lambda folder, words, seed: 60 + seed)
    monkeypatch.setattr(applications, "genlit", compared)
    found = [applications.study("cartpole", seed, None)["cartpole"] for seed in (1, 2)]
    assert [one["seed"] for one in found] == [1, 2]
    assert [one["rows"][0]["fit_cpu_seconds"] for one in found] == [61, 62]
    assert all("--seed" not in words for words in asked)


def test_a_number_has_the_digits_its_error_allows():
    assert tables.number(-90.28, 0.553) == "-90.28 ± 0.55"
    assert tables.number(67.34, 2.1) == "67.3 ± 2.1"
    assert tables.number(1.5, None) == "1.50"
