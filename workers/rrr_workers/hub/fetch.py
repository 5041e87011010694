"""What of the hub is in this machine's cache, and getting it there."""

import glob
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rrr_workers.config import Config
from rrr_workers.engines.model_folder import check_folder, is_weights
from rrr_workers.errors import UserError
from rrr_workers.hub.repos import (
    ANSWER_S,
    FETCH,
    Repo,
    find_commit,
    is_offline,
    models_of,
    not_here,
    snapshot,
    telling,
)
from rrr_workers.hub.splits import load_split, prepared_folder

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack", ".ot", ".tflite", ".npz")
_FOLDER_OF_TEMPLATES = "additional_chat_templates/"
#: Told the phase, what is done and the whole.
Progress = Callable[[str, int, int | None], None]


def check_here(repo: Repo, commit: str, max_model_len: int) -> None:
    """Raise :class:`UserError` where the hub is offline and not all of the commit is on this machine."""
    if not is_offline():
        return
    if repo.kind == "dataset":
        load_split(repo, commit)
    elif (folder := snapshot(repo, commit)) is None:
        raise not_here(repo, commit)
    else:
        _check_model(repo, folder, max_model_len)


def fetch(repo: Repo, commit: str, max_model_len: int, progress: Progress) -> int:
    """Get what a run needs of the commit into the cache. Returns the bytes of its files. Raises :class:`UserError`.

    ``progress`` is told of more MB."""
    if repo.kind == "dataset":
        with _watching(repo, 0, progress):
            load_split(repo, commit)
        folder = snapshot(repo, commit)
        assert folder is not None
    else:
        folder = _download(repo, commit, progress)
        _check_model(repo, folder, max_model_len)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def with_model_here(config: Config) -> Config:
    """With the folder of a hub model's files in the place of its id: of an id TRL reads the newest config. Raises
    :class:`UserError`."""
    if Path(config.model.name).is_absolute():
        return config
    [repo, *_] = models_of(config)
    folder = _download(repo, find_commit(repo), lambda *_: None)
    return config.model_copy(update={"model": config.model.model_copy(update={"name": str(folder), "revision": None})})


def _download(repo: Repo, commit: str, progress: Progress) -> Path:
    """A model's files of the commit, or what of them is here where the hub can't be reached."""
    import httpx
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    with telling(repo):
        try:
            about = HfApi().model_info(repo.id, revision=commit, files_metadata=True, timeout=ANSWER_S)
        except (OfflineModeIsEnabled, httpx.TransportError):
            if (folder := snapshot(repo, commit)) is None:
                raise
            return folder
        files = about.siblings or []
        names = files_of_model([file.rfilename for file in files])
        with _watching(repo, sum(file.size or 0 for file in files if file.rfilename in names), progress):
            # Patterns are those of a shell, in which a name is to stand for itself.
            patterns = [glob.escape(name) for name in names]
            return Path(snapshot_download(repo.id, revision=commit, allow_patterns=patterns))


def files_of_model(names: Sequence[str]) -> list[str]:
    """Those files of a repository that a run loads: no weights in another format, no folders but one of templates."""
    top = [name for name in names if "/" not in name or name.startswith(_FOLDER_OF_TEMPLATES)]
    weights = [name for name in top if is_weights(name)]
    loaded = [name for name in weights if name.endswith(".safetensors")] or weights
    return [name for name in top if name in loaded or not name.endswith(_WEIGHTS)]


def _check_model(repo: Repo, folder: Path, max_model_len: int) -> None:
    try:
        check_folder(folder, max_model_len)
    except UserError as error:
        cure = f"{FETCH}; or {error.cure}" if is_offline() else error.cure
        raise UserError(f"{repo.key}: {repo.id}: {error}", cure=cure) from error


@contextmanager
def _watching(repo: Repo, size: int, progress: Progress) -> Iterator[None]:
    """Progress while the folders of the repository grow."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folders = [Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo.id, repo_type=repo.kind) / "blobs"]
    folders += [prepared_folder(repo)] if repo.kind == "dataset" else []
    before, over = _megabytes(folders), threading.Event()

    def watch() -> None:
        told = -1
        while not over.wait(1):
            if (now := _megabytes(folders) - before) != told:
                told = now
                progress(f"fetching {repo.id}, MB", now, size // 10**6 or None)

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _megabytes(folders: Sequence[Path]) -> int:
    total = 0
    for folder in folders:
        for file in folder.rglob("*"):
            try:
                total += file.stat().st_size
            except FileNotFoundError:  # renamed meanwhile
                continue
    return total // 10**6
