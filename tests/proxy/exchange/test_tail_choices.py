"""Repeated finish reasons and several choices: each choice finishes once, and nothing is held too long."""

import pytest

from tests.proxy.exchange.story import (
    DONE,
    ESTIMATE,
    REPORT,
    USAGE,
    Story,
    choice,
    chunk,
    said,
    stop,
    usage_chunk,
    whole,
    with_usage,
)

# Repeats


@pytest.mark.parametrize("asked", [True, False])
def test_a_repeated_finish_is_merged(asked: bool) -> None:  # noqa: FBT001 - a column
    """OpenRouter's shape: the finish reason, then the same again with usage. It leaves once."""
    first = chunk(choice(0, b'{"content":""}', b'"stop"', b',"native_finish_reason":"STOP"'))
    again = chunk(choice(0, b'{"content":""}', b'"stop"'), more=b',"usage":' + USAGE)
    expected = first + usage_chunk() if asked else with_usage(first)
    assert said("a") + expected + DONE == whole([said("a"), first, again], asked=asked)


def test_repeats_of_two_choices() -> None:
    """Both finish reasons come again, in one frame or in two: each leaves once."""
    both = chunk(choice(0, finish=b'"stop"'), choice(1, finish=b'"stop"'), more=b',"usage":' + USAGE)
    expected = said("a") + said("b", 1) + stop(0) + stop(1) + usage_chunk() + DONE
    start = [said("a"), said("b", 1), stop(0), stop(1)]
    assert expected == whole([*start, both], asked=True, many=True)
    assert expected == whole([*start, stop(0), stop(1, b',"usage":' + USAGE)], asked=True, many=True)


def test_a_repeat_beside_a_first_finish() -> None:
    """A frame that repeats one choice's finish and brings another's: the new one stays, alone."""
    both = chunk(choice(0, finish=b'"stop"'), choice(1, finish=b'"length"'))
    left = whole([said("a"), said("b", 1), stop(0), both, REPORT], asked=True, many=True)
    alone = chunk(choice(1, finish=b'"length"'))
    assert said("a") + said("b", 1) + stop(0) + alone + usage_chunk() + DONE == left


def test_content_on_a_repeated_finish() -> None:
    """Content is never lost: the frame leaves without its finish reason."""
    again = chunk(choice(0, b'{"content":"b"}', b'"stop"'), more=b',"usage":' + USAGE)
    assert said("b") + with_usage(stop()) + DONE == whole([stop(), again], asked=False)


# Several choices


def test_two_choices_interleaved() -> None:
    """A held finish frame leaves unchanged as soon as another, unfinished choice speaks."""
    story = Story(asked=False, many=True)
    frames = [said("a"), stop(0), said("b", 1), said("c", 1), stop(1), REPORT]
    assert [said("a"), b"", stop(0) + said("b", 1), said("c", 1), b"", b""] == story.feed(*frames)
    assert with_usage(stop(1)) + DONE == story.close()


def test_a_finish_beside_an_unfinished_choice_is_not_held() -> None:
    """While another choice is under way, a finish frame cannot be the last."""
    story = Story(asked=False, many=True)
    assert [said("a"), said("b", 1), stop(0)] == story.feed(said("a"), said("b", 1), stop(0))
    assert not story.tail.complete
    assert [b""] == story.feed(stop(1))
    assert story.tail.complete


def test_a_released_finish_keeps_its_usage() -> None:
    """What leaves because another choice speaks is not edited, whatever it reports."""
    story = Story(asked=True, many=True)
    first = stop(0, b',"usage":{"completion_tokens":2}')
    assert [b"", first + said("b", 1), b""] == story.feed(first, said("b", 1), stop(1, b',"usage":' + USAGE))
    assert stop(1) + usage_chunk() + DONE == story.close()


def test_a_choice_that_only_finishes() -> None:
    """The finish frame of a choice that never spoke releases the held one of another."""
    story = Story(asked=True, many=True)
    assert [b"", stop(0)] == story.feed(stop(0), stop(1))
    assert stop(1) + usage_chunk(ESTIMATE) + DONE == story.close()


def test_choices_count_from_their_first_frame() -> None:
    """Two were asked for and one came: the answer is complete without the other."""
    assert said("a") + stop() + usage_chunk() + DONE == whole(
        [said("a"), stop(), REPORT], asked=True, many=True
    )


def test_frames_of_a_finished_choice_release_nothing() -> None:
    """Only an unfinished choice proves that the held frame is not the last."""
    story = Story(asked=True, many=True)
    late = chunk(choice(0, more=b',"content_filter_results":{}'))
    assert [b"", late, b""] == story.feed(stop(0), late, REPORT)


def test_a_frame_of_a_finished_and_an_unfinished_choice() -> None:
    """One unfinished choice among those of a frame releases the held one before it."""
    story = Story(asked=True, many=True)
    both = chunk(choice(0), choice(1, b'{"content":"b"}'))
    assert [b"", stop(0) + both, b""] == story.feed(stop(0), both, stop(1))


def test_both_choices_in_one_frame() -> None:
    """One frame may finish all."""
    both = chunk(choice(0, finish=b'"stop"'), choice(1, finish=b'"length"'))
    start = said("a") + said("b", 1)
    assert start + with_usage(both) + DONE == whole([start, both, REPORT], asked=False, many=True)
