"""Problems in the operator's words."""

from proxy.settings.problems import ConfigError, Problem, near_miss, path_of, unknown


def test_a_path_reads_as_the_file_does() -> None:
    """Places in lists stand in brackets, and so do names with a dot in them."""
    assert "models[2].backends[0].provider" == path_of(("models", 2, "backends", 0, "provider"))
    assert 'tiers["gpt-4.1"].models[0]' == path_of(("tiers", "gpt-4.1", "models", 0))


def test_a_near_miss_is_suggested_and_a_far_one_is_not() -> None:
    """A suggestion that is probably wrong is worse than none."""
    assert '; did you mean "port"?' == near_miss("prot", ["host", "port"])
    assert '; did you mean "OpenAI"?' == near_miss("opnai", ["OpenAI"])
    assert not near_miss("zebra", ["host", "port"])
    assert 'no tier is called "blanced"; did you mean "balanced"?' == unknown("tier", "blanced", ["balanced"])


def test_an_error_shows_every_problem() -> None:
    """One line for each."""
    error = ConfigError((Problem("a", "is wrong"), Problem("b[0]", "required")))
    assert "a: is wrong\nb[0]: required" == str(error)
