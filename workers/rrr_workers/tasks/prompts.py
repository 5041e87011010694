"""Every prompt template that rrr brings along. A config replaces any of them: ``task.prompts``.

Marks: [paper] verbatim from arXiv 2505.24726; [TinyZero] the public Countdown prompt that many models' numbers rest on
(github.com/Jiayi-Pan/TinyZero), without its chat markers; [rrr] ours, where the paper gives no text;
[notes] as notes on the paper give it.
"""

from rrr_workers.tasks.base import Prompts

COUNTDOWN = Prompts(
    # [TinyZero]
    question=(
        "Using the numbers [{numbers}], create an equation that equals {target}. You can use basic arithmetic "
        "operations (+, -, *, /) and each number can only be used once. Show your work in <think> </think> tags. "
        "And return the final answer in <answer> </answer> tags, for example <answer> (1 + 2) / 3 </answer>."
    ),
    # [paper]
    reflection=(
        "You tried solving the problem and got the wrong answer. Reflect on what went wrong and write a short "
        "explanation that will help you do better next time."
    ),
    # [rrr] Restates the problem, so that the numbers stand near the answer.
    retry=(
        "Now try again, and use what you wrote in your reflection. Using the numbers [{numbers}], create an equation "
        "that equals {target}. Use each number exactly once. Return the final answer in <answer> </answer> tags."
    ),
    # [rrr] The retry request without the reflection.
    bare_retry=(
        "That answer is wrong. Try again. Using the numbers [{numbers}], create an equation that equals {target}. Use "
        "each number exactly once. Return the final answer in <answer> </answer> tags."
    ),
)

# [rrr] What {preamble} stands for where the chat template doesn't present the tools itself; elsewhere it is empty.
TOOLS_PREAMBLE = "These tools are available, one a line:\n{tools}\n{instruction}\n\n"

FUNCTION_CALLING = Prompts(
    # [rrr]
    question="{preamble}{query}",
    # [notes]
    reflection=(
        "You tried performing the task, but failed in generating the correct tool call. Reflect on what went wrong and "
        "write a short explanation that will help you do better next time."
    ),
    # [rrr]
    retry=(
        "Now try again, and use what you wrote in your reflection. The task is: {query}\n"
        "Answer with the complete tool calls and nothing else."
    ),
    # [rrr] The retry request without the reflection.
    bare_retry=(
        "That answer is wrong. Try again. The task is: {query}\nAnswer with the complete tool calls and nothing else."
    ),
)

CUSTOM = Prompts(
    question="",  # the config brings it
    # [rrr]
    reflection=(
        "You tried solving the task and failed. Reflect on what went wrong and write a short explanation that will "
        "help you do better next time."
    ),
    # [rrr]
    retry="Now try again, and use what you wrote in your reflection.",
)
