"""The hub: what a config takes from it, and which commit a revision is.

A run keeps the commits that it began with (``hub`` of run.json, ``hub_commits`` of the config that workers are given),
so it ends with the models and the data that it began with, whatever is pushed meanwhile. Where the hub can't be asked
(HF_HUB_OFFLINE, or a node without a network), a revision is the commit that the cache last knew it as.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rrr_workers.config import Config, hub_key
from rrr_workers.errors import UserError

FETCH = "where there is a network: rrr fetch -c CONFIG"
#: Seconds that the hub may take to answer: packets may go nowhere, which nothing else would tell.
ANSWER_S = 20.0
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Repo:
    """A model or a data set of the hub. ``key``: of the config, for messages; ``revision`` None: main; ``subset`` and
    ``split`` are a data set's."""

    kind: Literal["model", "dataset"]
    id: str
    revision: str | None
    key: str
    subset: str | None = None
    split: str = "train"

    @property
    def name(self) -> str:
        """As run.json has it."""
        return hub_key(self.kind, self.id, self.revision)


def models_of(config: Config) -> list[Repo]:
    """Each once: those of the hub among the models that are trained and evaluated."""
    evaluated = [("eval.model", config.eval.model)]
    evaluated += [(f"eval.baselines.{n}.model", each.model) for n, each in enumerate(config.eval.baselines)]
    named = [("model.name", config.model.name), *((key, model) for key, model in evaluated if model is not None)]
    found: dict[str, Repo] = {}
    for key, model in named:
        if not Path(model).is_absolute():
            revision = config.model.revision if model == config.model.name else None
            found.setdefault(model, Repo("model", model, revision, key))
    return list(found.values())


def data_of(config: Config) -> list[Repo]:
    data = config.data
    if data.source != "hub":
        return []
    assert data.dataset is not None
    return [Repo("dataset", data.dataset, data.revision, "data.dataset", data.subset, data.hub_split)]


def find_commit(repo: Repo) -> str:
    """The commit that ``repo.revision`` is now. Raises :class:`UserError`."""
    from huggingface_hub import HfApi

    class Api(HfApi):
        def repo_info(self, *args: Any, **options: Any) -> Any:
            return super().repo_info(*args, **{**options, "timeout": ANSWER_S})

    with telling(repo):
        if repo.revision is not None and _COMMIT.fullmatch(repo.revision):
            if snapshot(repo, repo.revision) is None:
                Api().repo_info(repo.id, repo_type=repo.kind, revision=repo.revision)
            return repo.revision
        return str(Api().resolve_revision(repo.id, repo_type=repo.kind, revision=repo.revision).resolved)


def is_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def snapshot(repo: Repo, commit: str) -> Path | None:
    """The folder of the commit's files in the cache, which need not be all of them."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    options: dict[str, Any] = {"revision": commit, "local_files_only": True, "ignore_patterns": "*"}
    try:
        return Path(snapshot_download(repo.id, repo_type=repo.kind, **options))
    except LocalEntryNotFoundError:
        return None


def not_here(repo: Repo, revision: str) -> UserError:
    what = f"{repo.id}, subset {repo.subset}," if repo.subset else repo.id
    return UserError(
        f"{repo.key}: {what} at {revision} is not in the cache of this machine, and the hub is offline", cure=FETCH
    )


@contextmanager
def telling(repo: Repo) -> Iterator[None]:
    """What the hub's libraries raise as :class:`UserError`."""
    import httpx
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
        RevisionResolutionError,
    )

    what = {"model": "model", "dataset": "data set"}[repo.kind]
    try:
        yield
    except HFValidationError as error:
        cure = "write a folder with a leading ./ or /, a hub id as owner/name"
        raise UserError(f"{repo.key}: {repo.id!r} is neither a folder nor a hub id: {error}", cure=cure) from error
    except GatedRepoError as error:
        cure = "accept its terms on its hub page and set HF_TOKEN"
        raise UserError(f"{repo.key}: {repo.id} is gated", cure=cure) from error
    except RevisionNotFoundError as error:
        key = {"model.name": "model.revision", "data.dataset": "data.revision"}.get(repo.key, repo.key)
        raise UserError(f"{key}: {repo.id} has no {repo.revision!r}", cure=f"check {key}") from error
    except RepositoryNotFoundError as error:
        cure = f"check the name; a folder needs a leading ./ or /; a private {what} needs HF_TOKEN"
        raise UserError(f"{repo.key}: the hub has no {what} {repo.id!r}", cure=cure) from error
    except (RevisionResolutionError, HfHubHTTPError, httpx.HTTPError, OSError) as error:
        if is_offline():
            raise not_here(repo, repo.revision or "main") from error
        why = error.__cause__ or error
        message = f"{repo.key}: {repo.id!r} is not in the local cache and the hub can't be reached: {why}"
        cure = f"check the connection and HF_ENDPOINT, or bring a folder or files; {FETCH}"
        raise UserError(message, cure=cure) from error
