"""The layering of the package, as a test: who may import whom.

Imports run one way: cli, report -> tasks, callbacks, data -> estimators, chains -> protocols,
logmath, networks, likelihoods. A room is a folder that no other file of the package imports.
"""

import ast
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "genlit"
SHARED = {
    "networks",
    "likelihoods",
    "estimators",
    "data",
    "callbacks",
    "tasks",
    "cli",
    "report",
    "sweep",
    "features",
    "losses",
    "editing",
}
ROOMS = {p.parent.name for p in PACKAGE.glob("*/__init__.py")} - SHARED

GROUND = {"protocols", "ways", "logmath", "likelihoods", "networks"}
GROUND |= {"progress", "randomness", "runs"}
ANNEALING = {"annealing", "schedules", "normalizers"}
CORRIDOR = GROUND | ANNEALING | {"kernel_density", "corruptions", "estimators", "decoder_path"}
CORRIDOR |= {"chains", "learning", "model", "features", "latent"}
CORRIDOR |= {"trainer_options", "rounds", "losses", "warm_start"}
# What a part may import of genlit, besides itself; a part is a folder or a file of the package.
ARROWS = {
    "logmath": set(),
    "likelihoods": set(),
    "networks": set(),
    "ways": set(),
    "protocols": {"ways"},
    "progress": set(),
    "randomness": set(),
    "runs": set(),
    "chains": {"protocols", "progress"},
    "annealing": {"ways", "logmath", "progress", "randomness"},
    "schedules": {"ways", "randomness", "annealing"},
    "normalizers": {"protocols", "ways", "logmath", "annealing"},
    "decoder_path": {"protocols", "annealing"},
    "estimators": ANNEALING | {"protocols", "logmath", "progress", "decoder_path"},
    "kernel_density": set(),
    "edges": set(),
    "latent": {"progress", "edges"},
    "corruptions": set(),
    "features": GROUND,
    "learning": set(),
    "model": {"protocols", "randomness", "learning"},
    "trainer_options": set(),
    "rounds": {"protocols", "learning", "model", "trainer_options"},
    "losses": {"protocols", "features"},
    "warm_start": {"runs"},
    "data": {"protocols", "randomness", "runs", "progress", "features"},
    "callbacks": CORRIDOR,
    "tasks": CORRIDOR | {"data", "callbacks"},
    "editing": GROUND | {"edges", "latent", "features", "chains"},
    **{room: CORRIDOR - {"runs", "features"} for room in ROOMS},
}


def sources() -> dict[str, ast.Module]:
    """The syntax tree of each module by its dotted name; a folder has that of its __init__."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("genlit", *path.relative_to(PACKAGE).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return found


def bases(tree: ast.Module) -> set[str]:
    """The modules from which a module takes the classes that its own derive from."""
    names = {
        base.id
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }
    return {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        if names & {alias.name for alias in node.names}
    }


TREES = sources()
LIGHTNING = ("lightning", "genlit.model", "genlit.rounds")


def imports(tree: ast.AST) -> set[str]:
    """The names of all modules that are imported, at the top or inside a function."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & TREES.keys()
            found |= inner if len(inner) == len(node.names) else inner | {node.module}
    return found


IMPORTS = {name: imports(tree) for name, tree in TREES.items()}


def part(module: str) -> str:
    """The folder or file of the package that a module belongs to."""
    return [*module.split("."), ""][1]


def is_public(module: str) -> bool:
    return not any(name.startswith("_") for name in module.split("."))


@pytest.mark.parametrize("name", sorted(ARROWS))
def test_arrows_run_one_way(name):
    allowed = ARROWS[name] | {name, ""}
    for module, imported in IMPORTS.items():
        if part(module) == name:
            genlit = {i for i in imported if i.startswith("genlit.")}
            assert {part(i) for i in genlit} <= allowed, module


def test_nobody_outside_a_room_knows_it():
    for module, imported in IMPORTS.items():
        known = {part(i) for i in imported if i.startswith("genlit.")} & ROOMS
        assert known <= {part(module)}, f"{module} imports {known}"


def test_in_a_room_mathematics_knows_no_lightning():
    """What imports Lightning is imported by that alone which does too; `__init__` aside.

    A model that derives from another one knows Lightning as that one does.
    """
    inside = {m: i for m, i in IMPORTS.items() if part(m) in ROOMS and m.count(".") == 2}
    knows = {m for m, i in inside.items() if any(n.startswith(LIGHTNING) for n in i)}
    while derived := {m for m in inside if bases(TREES[m]) & knows} - knows:
        knows |= derived
    mathematics = inside.keys() - knows

    assert {"genlit.boltzmann.energy", "genlit.vae.gaussian", "genlit.gan.costs"} <= mathematics
    for module in mathematics:
        assert not inside[module] & knows, module


def test_networks_know_no_probability():
    allowed = (
        "torch",
        "genlit.networks",
        "collections",
        "itertools",
        "functools",
        "typing",
        "math",
    )
    for module, imported in IMPORTS.items():
        if part(module) == "networks":
            assert all(i.startswith(allowed) for i in imported), module


def test_no_module_imports_itself_in_a_circle():
    """A folder imports its files, and files import folders only of other parts."""
    graph = {
        module: {i for i in imported if i in TREES} - {module}
        for module, imported in IMPORTS.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_every_module_says_what_it_is():
    for module, tree in TREES.items():
        if is_public(module):
            assert ast.get_docstring(tree), f"{module} has no docstring"


def test_files_are_named_after_what_they_hold():
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    for module in TREES:
        assert not vague & set(module.split(".")), module


def test_short_names_of_classes_are_unique():
    """So that the command line can take a class by its short name, whatever family it is of."""
    places = ROOMS | {"data", "networks", "callbacks", "tasks"}
    names = Counter(
        node.name
        for module, tree in TREES.items()
        if part(module) in places
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert not {name for name, count in names.items() if count > 1}


def test_importing_the_package_does_not_import_torch():
    code = "import genlit, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_the_randomness_of_torch_is_used():
    """What a checkpoint does not carry cannot be resumed."""
    for module, imported in IMPORTS.items():
        assert not {i for i in imported if i == "random" or i.startswith("numpy.random")}, module
