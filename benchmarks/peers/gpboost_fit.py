"""Fit one model by gpboost and print its log likelihood and the seconds it took.

    python gpboost_fit.py DATA.csv FORMULA FAMILY METHOD

Formulas are those of the R programs: ``y ~ x + offset(o) + (1 + z | g) + (1 | h)``. Groups are
crossed by their labels, slopes uncorrelated with their intercepts: gpboost has no correlation.
"""

from __future__ import annotations

import json
import re
import sys
import time

import gpboost
import numpy as np
import pandas as pd

LIKELIHOODS = {
    "gaussian": "gaussian",
    "binomial": "bernoulli_logit",
    "poisson": "poisson",
    "Gamma(link=log)": "gamma",
}


def main() -> None:
    """Read the arguments, fit, print."""
    file, formula, family, _ = sys.argv[1:5]
    data = pd.read_csv(file)
    response, _, terms = (part.strip() for part in formula.partition("~"))
    effects = re.findall(r"\(([^()|]+)\|([^()|]+)\)", terms)
    offset = re.search(r"offset\((\w+)\)", terms)
    plain = re.sub(r"\([^()]*\|[^()]*\)|offset\(\w+\)", "", terms)
    names = [name.strip() for name in plain.split("+") if name.strip()]
    groups = [group.strip() for _, group in effects]
    slopes = [
        (name.strip(), number)
        for number, (variables, _) in enumerate(effects, start=1)
        for name in variables.split("+")
        if name.strip() != "1"
    ]
    settings = {"group_data": data[groups].to_numpy(), "likelihood": LIKELIHOODS[family]}
    if slopes:
        settings["group_rand_coef_data"] = data[[name for name, _ in slopes]].to_numpy(float)
        settings["ind_effect_group_rand_coef"] = [number for _, number in slopes]
    X = np.column_stack([np.ones(len(data)), data[names].to_numpy(float)])
    response_values = data[response].to_numpy(float)
    more = {"offset": data[offset[1]].to_numpy(float)} if offset else {}
    began, began_cpu = time.perf_counter(), time.process_time()
    model = gpboost.GPModel(**settings)
    model.fit(y=response_values, X=X, **more)
    model.get_coef(std_err=True)
    print(
        json.dumps(
            {
                "log_likelihood": -float(model.get_current_neg_log_likelihood()),
                "seconds": time.perf_counter() - began,
                "cpu": time.process_time() - began_cpu,
            }
        )
    )


if __name__ == "__main__":
    main()
