"""What ``regexm()`` matched last, for ``regexs()``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_GROUPS = 9


@dataclass(slots=True)
class Matches:
    """The last matches by row; they change with every search."""

    shape: tuple[int, ...] = ()
    found: list[re.Match[str] | None] = field(default_factory=lambda: [None])

    def search(self, texts: NDArray[Any], patterns: NDArray[Any]) -> NDArray[np.float64]:
        """Return where a text matches its pattern; missing where the pattern is not legal."""
        texts, patterns = np.broadcast_arrays(texts, patterns)
        self.shape, self.found = texts.shape, []
        result = []
        for text, pattern in zip(texts.ravel(), patterns.ravel(), strict=True):
            try:
                match = re.search(str(pattern), str(text))
            except re.error:
                match = None
                result.append(np.nan)
            else:
                result.append(float(match is not None))
            self.found.append(match)
        return np.array(result).reshape(self.shape)

    def group(self, number: NDArray[np.float64], n_rows: int) -> NDArray[np.object_]:
        """Return a part of the matches, 0 the whole; empty text where there is none.

        A search in data that have other rows by now counts as none.
        """
        if self.shape not in ((), (n_rows,)):
            return np.array("", dtype=object)
        shape = self.shape or np.shape(number)
        found = self.found if self.shape else self.found * int(np.prod(shape))
        numbers = np.broadcast_to(number, shape).ravel().tolist()
        texts = np.empty(len(found), dtype=object)
        texts[:] = [_group(match, k) for match, k in zip(found, numbers, strict=True)]
        return texts.reshape(shape)


def _group(match: re.Match[str] | None, number: float) -> str:
    if match is None or not 0 <= number <= min(MOST_GROUPS, match.re.groups):
        return ""
    return match[int(number)] or ""
