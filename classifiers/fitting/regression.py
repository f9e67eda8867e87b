"""Ridge and softmax regression over sparse rows, by L-BFGS. Deterministic: one thread, a fixed start, no sampling."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize


@dataclass(frozen=True, slots=True)
class Linear:
    """`weights`: one column per output; `biases`: one each."""

    weights: Any
    biases: Any

    def __call__(self, rows: Any) -> Any:
        """Logits, one row per row."""
        return rows @ self.weights + self.biases


def softmax(logits: Any) -> Any:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_softmax(
    rows: Any, targets: Any, row_weights: Any, penalty: float, rounds: int, prior: Any = 0.0
) -> Linear:
    """Fit to `targets`, probabilities per class, a row each.

    Args:
        penalty: of the squared distance of the weights from `prior`, per unit of row weight.
        prior: what the weights are believed to be before any row is seen; like the weights, or nothing.
    """
    columns, classes = rows.shape[1], targets.shape[1]
    turned = sp.csr_matrix(rows.T)
    share = (row_weights / row_weights.sum())[:, None]

    def loss(flat: Any) -> tuple[float, Any]:
        weights = flat[: columns * classes].reshape(columns, classes)
        logits = rows @ weights + flat[columns * classes :]
        found = softmax(logits)
        misfit = -float((share * targets * np.log(found + 1e-12)).sum())
        error = share * (found - targets)
        slope = turned @ error + penalty * (weights - prior)
        return misfit + 0.5 * penalty * float(((weights - prior) ** 2).sum()), np.concatenate(
            [slope.ravel(), error.sum(axis=0)]
        )

    start = np.zeros(columns * classes + classes)
    start[: columns * classes].reshape(columns, classes)[:] = prior
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": rounds}).x
    return Linear(best[: columns * classes].reshape(columns, classes), best[columns * classes :])


def fit_ridge(rows: Any, targets: Any, row_weights: Any, penalty: float, rounds: int) -> Linear:
    """Least squares with one output."""
    columns = rows.shape[1]
    turned = sp.csr_matrix(rows.T)
    share = row_weights / row_weights.sum()

    def loss(flat: Any) -> tuple[float, Any]:
        error = rows @ flat[:columns] + flat[columns] - targets
        slope = turned @ (share * error) + penalty * flat[:columns]
        value = 0.5 * float((share * error**2).sum()) + 0.5 * penalty * float((flat[:columns] ** 2).sum())
        return value, np.append(slope, (share * error).sum())

    best = minimize(loss, np.zeros(columns + 1), jac=True, method="L-BFGS-B", options={"maxiter": rounds}).x
    return Linear(best[:columns, None], best[columns:])
