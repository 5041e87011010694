"""Data sets of the hub, at one commit."""

from pathlib import Path
from typing import Any

from rrr_workers.errors import UserError
from rrr_workers.hub.repos import Repo, is_offline, not_here, telling


def load_split(repo: Repo, commit: str) -> Any:
    """A ``datasets.Dataset`` of this commit: memory-mapped, so its size on disk is no concern here. Raises
    :class:`UserError`.

    Where `datasets` can't ask the hub it would take what it prepared last, of whatever commit.
    """
    import datasets

    with telling(repo):
        try:
            if is_offline():
                builder = _prepared(repo, commit)
            else:
                builder = datasets.load_dataset_builder(repo.id, repo.subset, revision=commit)
                if builder.hash != commit:
                    raise ConnectionError(f"the files of commit {commit} can't be had")
                builder.download_and_prepare()
            return builder.as_dataset(repo.split)
        except datasets.exceptions.DatasetNotFoundError as error:
            cure = "check the name; for a gated data set accept its terms on the hub and set HF_TOKEN"
            raise UserError(f"{repo.key}: {error}", cure=cure) from error
        except ValueError as error:  # how `datasets` tells of an unknown subset or split
            cure = "check data.subset and data.hub_split"
            raise UserError(f"{repo.key} {repo.id}: {error}", cure=cure) from error


def _prepared(repo: Repo, commit: str) -> Any:
    """The builder of what `datasets` has made of this commit."""
    from datasets.packaged_modules.cache.cache import Cache

    subset = repo.subset or _default_subset(repo, commit) or "*"
    found = [path for path in prepared_folder(repo).glob(f"{subset}/*/{commit}") if path.is_dir()]
    if len(found) != 1:
        raise not_here(repo, commit)
    subset, version, _ = found[0].parts[-3:]
    name = repo.id.rpartition("/")[2]
    return Cache(dataset_name=name, repo_id=repo.id, config_name=subset, version=version, hash=commit)


def prepared_folder(repo: Repo) -> Path:
    from datasets import config
    from datasets.naming import camelcase_to_snakecase

    *owner, name = repo.id.split("/")
    return Path(config.HF_DATASETS_CACHE) / "___".join([*owner, camelcase_to_snakecase(name)])


def _default_subset(repo: Repo, commit: str) -> str | None:
    """The subset of one that has several, as its card says."""
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard, try_to_load_from_cache

    card = try_to_load_from_cache(repo.id, "README.md", repo_type="dataset", revision=commit)
    if not isinstance(card, str):
        return None
    configs: Any = MetadataConfigs.from_dataset_card_data(DatasetCard.load(card).data)
    name: str | None = configs.get_default_config_name()
    return name
