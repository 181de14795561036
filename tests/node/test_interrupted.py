"""Ctrl-C while the command is still loading: an exit code, no traceback."""

from __future__ import annotations

import pytest

from antlive import cli


def test_ctrl_c_while_loading_has_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_serve", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve"])
    assert ended.value.code == 130
