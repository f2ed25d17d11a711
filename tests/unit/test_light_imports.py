"""What takes long to load is not loaded by a command that does not need it."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from gllamm_cli.data import Dataset
from gllamm_cli.dta import write_dta

HEAVY = (
    "numpy.ma",
    "numpy.polynomial",
    "pandas",
    "prompt_toolkit",
    "pyreadstat",
    "rich",
    "scipy",
)
MODELS = (
    "z x, i(id) adapt",
    "z x, i(id) nip(4) s(het)",
    "p x, i(id) family(gamma) link(log) adapt",
    "p x, i(id) family(gamma) link(log) s(het) nip(4)",
    "c x, i(id) family(poisson) link(log) adapt",
    "y x, i(id) family(binomial) link(logit) adapt",
    "y x, i(id) family(binomial) link(probit) adapt",
    "y x, i(id) family(binomial) link(cll) nip(4)",
    "k x, i(id) family(binomial) link(probit) denom(n) adapt",
    "o x, i(id) link(oprobit) adapt",
    "o x, i(id) link(ologit) adapt",
    "o x, i(id) link(soprobit) s(het) nip(4)",
    "y x, i(id) family(binomial) link(sprobit) s(het) nip(4)",
    "o x, i(id) link(mlogit) nip(4)",
    "m x, i(id) family(binomial gaussian) link(probit identity) fv(which) lv(which) nip(4)",
    "y x, i(id) family(binomial) link(probit) ip(f) nip(2)",
)
PROGRAM = """
import sys
from gllamm_cli.cli import cli
for model in sys.argv[2:]:
    cli(["fit", sys.argv[1], f"eq het: w; gllamm {model}"], standalone_mode=False)
    print(model, *(name for name in {heavy} if name in sys.modules), sep="|", file=sys.stderr)
"""


def table():
    random = np.random.default_rng(3)
    n = 120
    id = np.repeat(np.arange(n // 6), 6)
    x = random.normal(size=n).round(3)
    latent = x + random.normal(size=n // 6)[id] + random.normal(size=n)
    which = np.tile([1, 2], n // 2)
    y = (latent > 0).astype(int)
    return pd.DataFrame(
        {
            "id": id,
            "x": x,
            "w": np.tile([0, 0, 1], n // 3),
            "z": latent.round(3),
            "p": np.exp(0.3 * latent).round(4),
            "c": random.poisson(np.exp(0.3 * latent)),
            "y": y,
            "n": 5,
            "k": random.binomial(5, 1.0 / (1.0 + np.exp(-latent))),
            "o": np.digitize(latent, [-1.0, 0.5]) + 1,
            "which": which,
            "m": np.where(which == 1, y, latent.round(3)),
        }
    )


@pytest.mark.parametrize("suffix", [".csv", ".dta"])
def test_a_fit_loads_none_of_the_heavy_libraries(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    if suffix == ".dta":
        write_dta(Dataset.from_frame(table()), path)
    else:
        table().to_csv(path, index=False)
    models = MODELS if suffix == ".csv" else MODELS[:1]
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM.replace("{heavy}", repr(HEAVY)), str(path), *models],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == list(models)


def test_the_version_is_told_without_numpy():
    program = (
        "import sys; from gllamm_cli.cli import cli; cli(['--version'], standalone_mode=False);"
        "assert not {'numpy', 'rich', 'gllamm_cli.session'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("gllamm-py, version")
