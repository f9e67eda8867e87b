"""Of the settings of classification its runtime objects."""

from functools import lru_cache

from classifiers.cascade import Cascade
from classifiers.rules import Rules, own_rule
from classifiers.scorer import load
from proxy.settings.schema import Classifier


def own_rules(classifier: Classifier) -> Rules:
    """The built-in rules, and the operator's before them. The settings have checked the patterns."""
    return Rules(
        own=[own_rule(rule.name, rule.pattern, rule.complexity, rule.task_type) for rule in classifier.rules]
    )


@lru_cache(maxsize=2)
def cascade_of(classifier: Classifier) -> Cascade:
    """Rules and the scorer that ships with the package. Takes some 60 ms; remembered for the next reload."""
    return Cascade(own_rules(classifier), load())
