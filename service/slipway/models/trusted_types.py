"""The types, beyond skops' own, that a model file may hold. Ours, never the artefact's. Pure.

skops rebuilds scikit-learn's estimators, transformers and numpy arrays by itself and asks about
every other type. What it asks about for the models that Slipway is made for was measured with
`skops.io.get_untrusted_types` (scikit-learn 1.9, skops 0.16):

| model | asked about |
|---|---|
| linear, ridge; DictVectorizer, ColumnTransformer, OneHotEncoder, Pipeline | nothing |
| random forest, gradient boosting | sklearn.tree._tree.Tree |
| histogram gradient boosting | …_hist_gradient_boosting.predictor.TreePredictor |

A type is on the list only if building it from a hostile file runs no code of that file's author.
Both are plain tables of nodes: a hostile table may give nonsense, hang or crash the process that
predicts, which the gates see; it cannot call anything. `operator.methodcaller`, `builtins.getattr`
and their like call what the file says, so they stay off, whatever model would need them.
"""

from __future__ import annotations

TRUSTED_TYPES: frozenset[str] = frozenset(
    {
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    }
)
