"""What a crash of the machine leaves: a file or folder has its final name only once all it holds is on the disk."""

import json
from pathlib import Path

import pytest

from harness import DiskLog
from rrr_workers.data.prepare import AtomicLines
from rrr_workers.training.checkpoints import STAGING, complete_checkpoints, publish, replace_folder, write_folder


def filled(folder: Path, text: str = "new") -> None:
    """Two files, one of them in a folder of its own."""
    (folder / "deep").mkdir()
    (folder / "deep" / "weights").write_text(text)
    (folder / "state").write_text(text)


def test_a_folder_is_synced_before_its_rename_and_its_parent_after(tmp_path: Path, disk: DiskLog) -> None:
    (tmp_path / "source").mkdir()
    filled(tmp_path / "source")
    replace_folder(tmp_path / "source", tmp_path / "target")
    *before, rename, after = disk.take(within=tmp_path)
    inside = ["source/deep", "source/deep/weights", "source/state"]
    assert sorted(before) == [f"sync {path}" for path in ("source", *inside)]
    assert (rename, after) == ("rename source -> target", "sync .")


def test_a_checkpoint_is_published_by_one_rename_and_replaces_that_of_an_earlier_attempt(
    tmp_path: Path, disk: DiskLog
) -> None:
    staged = tmp_path / STAGING / "checkpoint-7"
    for text in ("first", "second"):
        staged.mkdir(parents=True)
        filled(staged, text)
        (staged / text).touch()
        disk.events.clear()
        assert publish(staged, tmp_path, keep=2) == tmp_path / "checkpoint-7"
        renames = [event for event in disk.take(within=tmp_path) if event.startswith("rename")]
        assert renames == [f"rename {STAGING}/checkpoint-7 -> checkpoint-7"]
        assert not staged.exists()
        assert (tmp_path / "checkpoint-7" / "deep" / "weights").read_text() == text
    assert not (tmp_path / "checkpoint-7" / "first").exists()
    assert complete_checkpoints(tmp_path) == [tmp_path / "checkpoint-7"]


def test_what_a_library_writes_for_the_owner_alone_gets_the_mode_of_any_new_file(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        filled(folder)
        (folder / "deep" / "weights").chmod(0o600)

    write_folder(tmp_path / "model", write)
    (tmp_path / "plain").touch()
    modes = {path.stat().st_mode for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert modes == {(tmp_path / "plain").stat().st_mode}


def test_a_folder_written_twice_is_the_second_one_and_whole(tmp_path: Path, disk: DiskLog) -> None:
    target, partial = tmp_path / "model", tmp_path / f"model{STAGING}"
    partial.mkdir()
    (partial / "leftover").touch()  # of an attempt that was killed
    write_folder(target, filled)
    *before, rename, after = disk.take(within=tmp_path)
    assert f"sync model{STAGING}/deep/weights" in before
    assert (rename, after) == (f"rename model{STAGING} -> model", "sync .")
    assert not (target / "leftover").exists()
    write_folder(target, lambda folder: (folder / "state").write_text("newer") and None)
    assert [path.name for path in target.iterdir()] == ["state"]
    assert not partial.exists()


def test_lines_replace_a_file_once_they_are_on_the_disk(tmp_path: Path, disk: DiskLog) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("old\n")
    with AtomicLines(path) as lines:
        lines.write({"n": 1})
        lines.write({"n": 2})
        assert path.read_text() == "old\n"
    assert disk.take(within=tmp_path) == [
        "sync train.jsonl.tmp",
        "rename train.jsonl.tmp -> train.jsonl",
        "sync .",
    ]
    assert path.read_text() == '{"n":1}\n{"n":2}\n'


def test_all_lines_have_left_the_process_when_they_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr("os.fsync", lambda _: sizes.append((tmp_path / "rows.tmp").stat().st_size))
    monkeypatch.setattr("os.replace", lambda *_: pytest.fail("renamed") if not sizes else None)
    with AtomicLines(tmp_path / "rows") as lines:
        lines.write({"n": 1})
    assert sizes[0] == len('{"n":1}\n')


def test_an_error_leaves_the_old_lines_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("old\n")

    def fail() -> None:
        with AtomicLines(path) as lines:
            lines.write({"n": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_the_newest_checkpoints_are_kept_in_the_order_of_steps(tmp_path: Path) -> None:
    for step in (2, 9, 10):
        staged = tmp_path / ".partial" / f"checkpoint-{step}"
        write_folder(staged, lambda folder: (folder / "state.json").write_text("{}") and None)
        publish(staged, tmp_path, keep=2)
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["checkpoint-9", "checkpoint-10"]


def test_a_model_that_is_not_complete_is_not_there(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write_folder(tmp_path / "model", fail)
    assert not (tmp_path / "model").exists()
    write_folder(tmp_path / "model", lambda folder: (folder / "config.json").write_text(json.dumps({})) and None)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["config.json"]
