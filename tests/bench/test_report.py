"""The report says what was measured: per unit of right work, round by round."""

from dataclasses import replace

from tests.bench import report
from tests.bench.load import Outcome
from tests.bench.phases import FIGURES, PHASES, Sample, shortened

OUTCOME = Outcome(
    right=1000,
    chunks=0,
    errors={},
    sample="",
    seconds=4,
    most_open=64,
    latency_p50_ms=3.0,
    latency_p99_ms=9.0,
    first_word_p50_ms=None,
    first_word_p99_ms=None,
)
SAMPLE = Sample(
    target="headgate",
    phase="plain",
    outcome=OUTCOME,
    cpu_s=0.4,
    store_cpu_s=0.04,
    grown_bytes=0,
    direct=(),
    upstream_per_request=1,
    foreign=0.01,
    harness=0.3,
    spin_ms=18,
)
PLAIN = [phase for phase in PHASES if phase.name == "plain"]


def test_every_phase_has_figures() -> None:
    """A phase without a figure would be measured for nothing."""
    assert [phase.name for phase in PHASES] == list(FIGURES)


def test_best_median_and_ratio_of_each_round() -> None:
    """400, 500, 900 us against 200, 500, 300: best 400 and 200, medians 500 and 300, median ratio 2."""
    ours = [replace(SAMPLE, cpu_s=cpu_s) for cpu_s in (0.4, 0.5, 0.9)]
    theirs = [replace(SAMPLE, target="reference", cpu_s=cpu_s) for cpu_s in (0.2, 0.5, 0.3)]
    row = report.table(PLAIN, [*ours, *theirs], "headgate", "reference").splitlines()[1]
    assert " ".join(row.split()) == "plain CPU us / request 400 500 200 300 2.00 1.00 3.00 2.00"


def test_a_run_without_a_right_answer_has_no_figure() -> None:
    """Nothing is divided by nothing: the cell is empty and so is the ratio."""
    failed = replace(SAMPLE, outcome=replace(OUTCOME, right=0, errors={"cut": 3}, sample="cut: x"))
    row = report.table(
        PLAIN, [failed, replace(SAMPLE, target="reference")], "headgate", "reference"
    ).splitlines()[1]
    assert " ".join(row.split()) == "plain CPU us / request - - 400 400 - -"
    assert "cut x3" in report.noise([failed])


def test_added_latency_is_against_the_quieter_direct_run() -> None:
    """3 ms, and 1.0 and 1.5 ms directly: 2 ms were added."""
    direct = tuple(replace(OUTCOME, latency_p50_ms=ms) for ms in (1.5, 1.0))
    assert FIGURES["low"]["added p50 ms"](replace(SAMPLE, phase="low", direct=direct)) == 2.0


def test_memory_is_per_open_stream() -> None:
    """30 MB for a thousand streams are 30 kB each."""
    assert FIGURES["open"]["memory kB / stream"](replace(SAMPLE, grown_bytes=30_000_000)) == 30.0


def test_a_quick_look_is_shorter() -> None:
    """Half the time, or fewer streams, and the description says so."""
    for phase in PHASES:
        quick = shortened(phase)
        assert quick.duration_s * max(1, quick.total) < phase.duration_s * max(1, phase.total)
    assert shortened(PHASES[-1]).about == "200 streams at once, 25 chunks, one every 200 ms"
