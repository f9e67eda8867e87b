"""docs/limits.md: its configuration serves, and every example answers what the page says."""

import re
import shlex
from pathlib import Path

import yaml

from tests.support.gateway import running
from tests.support.raw_client import RawClient, http_request

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")
KEYS = {name: f"test-key-{name.lower()}-abcdefgh" for name in ("WEB_KEY", "BATCH_KEY", "SPENT_KEY")}
ADDRESS = "http://127.0.0.1:8080"


def examples() -> list[tuple[list[str], int, str]]:
    """The words of each `curl`, the status and a text that the answer has."""
    lines = re.sub(r" \\\n +", " ", PAGE)
    found = re.findall(r"^ {4}curl (.*)\n {4}# (\d{3}) (.*)$", lines, re.MULTILINE)
    return [(shlex.split(words), int(status), text) for words, status, text in found]


def request_of(words: list[str]) -> bytes:
    """What curl would send; it knows no option but those of the page."""
    headers: dict[str, str] = {}
    path, body = "", None
    rest = iter(words)
    for word in rest:
        if word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = re.sub(r"\$(\w+)", lambda match: KEYS[match[1]], value)
        elif word == "-d":
            body = next(rest).encode()
        elif word != "-i":
            assert word.startswith(ADDRESS)
            path = word.removeprefix(ADDRESS)
    return http_request("GET" if body is None else "POST", path, headers=headers, body=body)


async def test_examples(tmp_path: Path) -> None:
    """In the order of the page."""
    match = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert match is not None
    asked = examples()
    assert PAGE.count("    curl ") == len(asked) > 0
    with running(tmp_path, yaml.safe_load(match[1]), KEYS) as gateway:
        for words, status, text in asked:
            async with await RawClient.connect(gateway.port) as client:
                await client.send(request_of(words))
                answer = await client.read_all()
            said = [f"{name}: {value}" for name, value in answer.headers.items()]
            assert status == answer.status, answer.body
            assert text in "\n".join([*said, answer.body.decode()])
