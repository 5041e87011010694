"""A small model of two tasks made from nothing but a seed, so that every command can be tried on two CPU cores.

countdown_world.py and function_world.py: problems and transcripts; transcript.py: what they share; tokenizer.py:
vocabulary; pretrain.py: recipe; __main__.py: the command line. Importing the package imports neither torch nor
transformers.
"""

from hashlib import sha256
from pathlib import Path


def recipe_hash(seed: int = 0, steps: int | None = None) -> str:
    """Hex sha256 over this package's sources, the seed and the steps (None: the recipe's own): a key for caches."""
    digest = sha256(f"seed={seed} steps={steps}".encode())
    package = Path(__file__).parent
    # The split decides what the model may see, and the generator what it is asked, so they are sources too.
    workers = package.parents[1] / "rrr_workers"
    others = ["hashing.py", "data/splits.py", "tasks/function_calling/tool_world.py"]
    for source in [*sorted(package.glob("*.py")), *(workers / other for other in others)]:
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()
