"""`headgate check`, as people read it."""

from pathlib import Path

from click.testing import CliRunner

from proxy.cli.check import check


def test_what_is_not_active_yet(tmp_path: Path) -> None:
    """It is said once for each key, beside the warnings, and is no problem."""
    path = tmp_path / "headgate.yaml"
    path.write_text("server: {trusted_proxies: [10.0.0.0/8]}\nrouting: {hedge: {enabled: true}}\n")
    ended = CliRunner().invoke(check, ["--config", str(path)])
    assert (
        "notice: server.trusted_proxies: accepted, not yet active: nothing looks at the addresses of clients\n"
        "notice: routing.hedge: accepted, not yet active: no request is hedged\n"
    ) == ended.stderr
    assert (0, f"{path}: fine (4 models, 0 keys)\n") == (ended.exit_code, ended.stdout)
