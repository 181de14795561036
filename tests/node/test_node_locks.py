"""Who may use a data directory and a media directory, and what is said to anybody else."""

from __future__ import annotations

import os
import resource
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from antlive.node import NodeFiles
from antlive.node_locks import MEDIA_LOCK, DirectoryBusy, DirectoryUnusable, lock_media_dir, lock_role, usable
from config.settings import Settings


def of(tmp_path: Path, name: str) -> Settings:
    return Settings(data_dir=tmp_path / name, media_dir=tmp_path / "media")


def test_a_media_directory_belongs_to_one_node(tmp_path: Path) -> None:
    ingest, origin = (lock_media_dir(tmp_path, "node_a", 0) for _ in range(2))
    os.close(ingest)  # one role is started anew
    with pytest.raises(DirectoryBusy, match=f"ANTLIVE_MEDIA_DIR={tmp_path} is in use by node_a: each node needs"):
        lock_media_dir(tmp_path, "node_b", 0)
    again = lock_media_dir(tmp_path, "node_a", 0)
    os.close(origin)
    os.close(again)
    os.close(lock_media_dir(tmp_path, "node_b", 0))


def test_what_ends_at_the_moment_is_waited_for(tmp_path: Path) -> None:
    ending = lock_media_dir(tmp_path, "node_a", 0)
    timer = threading.Timer(0.2, os.close, [ending])
    timer.start()
    os.close(lock_media_dir(tmp_path, "node_b", 20))
    timer.join()


def test_a_role_runs_once_on_a_data_directory(tmp_path: Path) -> None:
    with ExitStack() as locks:

        def lock(role: str, settings: Settings) -> None:
            lock_role(settings, role, NodeFiles(settings.data_dir).node_id, locks, 0)

        node = of(tmp_path, "data")
        for role in ("ingest", "recorder", "web", "control", "control"):
            lock(role, node)
        for role, named in (("ingest", "ingest"), ("recorder", "recorder"), ("origin", "origin")):
            with pytest.raises(
                DirectoryBusy, match=f"another {named} process runs with ANTLIVE_DATA_DIR={node.data_dir}$"
            ):
                lock(role, node)
        with pytest.raises(DirectoryBusy, match="ANTLIVE_MEDIA_DIR"):
            lock("ingest", of(tmp_path, "other"))
    lock("ingest", of(tmp_path, "other"))
    locks.close()


def test_processes_that_start_at_once_are_one_node(tmp_path: Path) -> None:
    ids: list[str] = []
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        ids.append(NodeFiles(tmp_path / "data").node_id())

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8 and len(set(ids)) == 1


def test_files_that_can_not_be_used_are_named(tmp_path: Path) -> None:
    files = NodeFiles(tmp_path)
    (tmp_path / "node_id").mkdir()
    (tmp_path / "ready_stream.json").mkdir()
    (tmp_path / "ingest.lock").mkdir()
    (tmp_path / "capacity.json").write_text("{")
    settings = Settings(data_dir=tmp_path, media_dir=tmp_path / "media")
    with pytest.raises(DirectoryUnusable, match=rf"cannot use {tmp_path}/node_id: Is a directory"):
        files.node_id()
    with pytest.raises(DirectoryUnusable, match=r"ready_stream\.json: Is a directory"):
        files.read_json("ready_stream.json")
    with pytest.raises(DirectoryUnusable, match=r"capacity\.json: it is no JSON; remove it"):
        files.read_json("capacity.json")
    with ExitStack() as locks, pytest.raises(DirectoryUnusable, match=r"ingest\.lock: Is a directory"):
        lock_role(settings, "ingest", files.node_id, locks, 0)


def test_a_directory_that_can_not_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file/data"):
        with pytest.raises(DirectoryUnusable, match=f"cannot use ANTLIVE_DATA_DIR={directory}: not a directory"):
            usable("DATA_DIR", directory)
    monkeypatch.setattr(os, "access", lambda *arguments: False)  # root may write anywhere
    with pytest.raises(DirectoryUnusable, match=r"can't write to it"):
        usable("MEDIA_DIR", tmp_path)


def test_a_directory_of_somebody_elses_files_is_no_media_directory(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lse_of_an_older_version").mkdir()
    os.close(lock_media_dir(tmp_path, "node_a", 0))
    (tmp_path / "passwd").touch()
    os.close(lock_media_dir(tmp_path, "node_a", 0))  # it is ours by now
    (tmp_path / MEDIA_LOCK).unlink()
    with pytest.raises(DirectoryUnusable, match=rf"ANTLIVE_MEDIA_DIR={tmp_path}: it holds passwd, which is not ours"):
        lock_media_dir(tmp_path, "node_a", 0)
    assert not (tmp_path / MEDIA_LOCK).exists()


def test_a_full_media_directory_is_named(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # as a full disk: files can be made, not written to
    try:
        with pytest.raises(DirectoryUnusable, match=rf"cannot use {tmp_path}/{MEDIA_LOCK}: File too large"):
            lock_media_dir(tmp_path, "node_a", 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    os.close(lock_media_dir(tmp_path, "node_a", 0))
