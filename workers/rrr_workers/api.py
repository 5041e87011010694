"""What your own code imports: ``from rrr_workers.api import Prompts, Query, Task, Verdict``.

For a task of your own:

Task           the class to write: rows in, prompts and verdicts out
Query          one problem, as ``Task.normalise`` gives it
Prompts        the templates of question, reflection request and retry request
Verdict        what ``Task.judge`` says of one completion
FinishReason   why a completion ended: "stop", or "length" where it was cut at the token limit
BadRow         raise it in ``Task.normalise`` for a row that can't be used
content_hash   ids for queries: the same content, the same id
expression     arithmetic as a model writes it: ``parse`` without running it, ``evaluate`` exactly
answer_part    a completion without its reasoning, ``<think> ... </think>``

For a trained model behind an endpoint:

reflect_retry  try, reflect and retry with any OpenAI-compatible client
Reflected      what it gives: the last answer, whether it passed, and every try
Try            one answer, and the reflection that it follows
"""

from rrr_workers.hashing import content_hash
from rrr_workers.reflecting import Reflected, Try, reflect_retry
from rrr_workers.tasks.base import BadRow, FinishReason, Prompts, Query, Task, Verdict
from rrr_workers.tasks.countdown import expression
from rrr_workers.tasks.reasoning import answer_part

__all__ = [
    "BadRow",
    "FinishReason",
    "Prompts",
    "Query",
    "Reflected",
    "Task",
    "Try",
    "Verdict",
    "answer_part",
    "content_hash",
    "expression",
    "reflect_retry",
]
