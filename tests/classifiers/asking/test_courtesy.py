"""Greetings, thanks and framing say nothing about difficulty."""

import pytest

from classifiers.asking.courtesy import without_courtesies


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        ("Hello! Could you please help me? Explain mutexes. Thanks!", "Explain mutexes."),
        ("Hi there, can you explain mutexes? Thank you so much in advance", "explain mutexes?"),
        (
            "Hi there, hope you're doing well! Explain mutexes. Thank you so much in advance!",
            "Explain mutexes.",
        ),
        ("Sorry to bother you. Explain mutexes.", "Explain mutexes."),
        ("Explain mutexes. Think step by step and explain.", "Explain mutexes."),
        ("Explain mutexes. Take a deep breath.", "Explain mutexes."),
        ("Let's think step by step. Explain mutexes.", "Explain mutexes."),
        ("You are a world-class expert in operating systems. Explain mutexes.", "Explain mutexes."),
        ("I would like you to explain mutexes please", "explain mutexes"),
        ("你好，请问什么是互斥锁？谢谢", "什么是互斥锁？"),
        ("こんにちは。ミューテックスとは何ですか？ありがとうございます", "ミューテックスとは何ですか？"),
        ("안녕하세요, 뮤텍스가 뭐야? 감사합니다", "뮤텍스가 뭐야?"),
        ("Hola, ¿qué es un mutex? Gracias", "¿qué es un mutex?"),
        ("Bonjour, qu'est-ce qu'un mutex ? Merci beaucoup", "qu'est-ce qu'un mutex ?"),
        ("Hallo, was ist ein Mutex? Vielen Dank", "was ist ein Mutex?"),
        ("Olá, o que é um mutex? Obrigado", "o que é um mutex?"),
        ("Привет! Что такое мьютекс? Спасибо", "Что такое мьютекс?"),
        ("مرحبا، ما هو المتصفح؟ شكرا", "ما هو المتصفح؟"),
        ("नमस्ते, म्यूटेक्स क्या है? धन्यवाद", "म्यूटेक्स क्या है?"),
    ],
)
def test_the_ask_is_left(text: str, ask: str) -> None:
    """In eleven languages, at both ends, several in a row."""
    assert without_courtesies(text) == ask


@pytest.mark.parametrize("text", ["Hello!", "Hey there", "Thanks a lot!", "谢谢", "Please help me"])
def test_nothing_but_courtesy_stays(text: str) -> None:
    """A greeting is an ask when there is no other."""
    assert without_courtesies(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "You are a psychologist whose client refuses to talk. What may you disclose?",
        "As a child, she sang. Why?",
        "Explain please-wait dialogs",
    ],
)
def test_what_only_looks_like_courtesy_stays(text: str) -> None:
    """Facts of a case are not praise, and words within the ask are the ask's."""
    assert without_courtesies(text) == text
