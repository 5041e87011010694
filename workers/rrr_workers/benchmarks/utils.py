r"""What the YAML files of this folder name: rows, prompts and scores.

Nothing that a model writes is evaluated. Numbers and letters are taken out by regular expressions. MATH answers are
compared as text after lm-eval's normalisation (hendrycks_math), so 0.25 and \frac{1}{4} are different. Its minerva_math
knows that they are equal, but it gives answers to sympy: what math_verify takes for a formula goes through ``eval``,
and the limit of seconds on the rest is an alarm, which outside of the main thread fails and counts the answer as wrong.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_LETTERS = "ABCDEFGHIJ"
_FINAL_ANSWER = re.compile(r"[Ff]inal answer is:?\s*(.+?)\.?\s*(?:I hope it is correct|$)", re.MULTILINE)


def given_rows(rows: Sequence[Mapping[str, Any]], **_: Any) -> dict[str, Any]:
    """The ``metadata`` of the task manager as a data set: in memory, so that nothing is cached on a disk."""
    from datasets import Dataset

    return {"test": Dataset.from_list(list(rows))}


def mmlu_pro_question(row: Mapping[str, Any]) -> str:
    options = "".join(f"{letter}. {option.strip()}\n" for letter, option in zip(_LETTERS, row["options"], strict=False))
    return (
        f"The following is a multiple choice question about {row['category']}. Think step by step and then finish your "
        'answer with "the answer is (X)" where X is the correct letter choice.\n\n'
        f"Question:\n{row['question']}\nOptions:\n{options}Answer: Let's think step by step."
    )


def math_results(row: Mapping[str, Any], completions: Sequence[str]) -> dict[str, int]:
    from lm_eval.tasks.hendrycks_math.utils import is_equiv

    answer = math_answer(completions[0])
    return {"exact_match": int(answer is not None and is_equiv(answer, row["answer"]))}


def math_answer(completion: str) -> str | None:
    r"""What is in the last \boxed{...}, or else what follows the last "final answer is"."""
    boxed = _last_boxed(completion)
    if boxed is not None:
        return boxed
    named = _FINAL_ANSWER.findall(completion)
    return named[-1].strip().strip("$").strip() if named else None


def _last_boxed(text: str) -> str | None:
    _, found, rest = text.rpartition("\\boxed{")
    depth = 1
    for end, character in enumerate(rest if found else ""):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return rest[:end].strip()
    return None
