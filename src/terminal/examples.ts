/** What --help ends with: examples of each command, by its words, and the exit codes. */

export const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  '': [
    'rrr run -c configs/demo.yaml                # failures, training, evaluation, report',
    'rrr run -c configs/demo.yaml --smoke        # try task, data and verifier first, on the CPU',
    'rrr status runs/demo                        # from another terminal',
  ],
  'build-failures': [
    'rrr build-failures -c configs/demo.yaml --dry-run',
    'rrr build-failures -c configs/demo.yaml --run runs/seed-2 --set seed=2',
  ],
  train: [
    'rrr train -c configs/demo.yaml',
    'rrr train -c configs/demo.yaml --resume',
    "rrr train -c configs/demo.yaml --run runs/lora --set 'train.lora={rank: 16, alpha: 32}'",
  ],
  eval: [
    'rrr eval -c configs/demo.yaml',
    "rrr eval -c configs/demo.yaml --resume --set 'eval.controls=[bare_retry, donor]'   # more of a finished one",
    'rrr eval -c configs/demo.yaml --power',
  ],
  benchmarks: ['rrr benchmarks -c configs/demo.yaml --set benchmarks.items=200'],
  run: [
    'rrr run -c configs/demo.yaml',
    'rrr run -c configs/demo.yaml --resume --json',
    'rrr run -c configs/demo.yaml --smoke',
  ],
  submit: [
    'rrr submit -c configs/countdown-qwen2.5-1.5b.yaml --dry-run',
    'rrr submit -c configs/countdown-qwen2.5-1.5b.yaml --set launch.slurm.time=24:00:00',
  ],
  cancel: ['rrr cancel runs/demo', 'rrr cancel runs/demo --grace 60'],
  report: ['rrr report runs/demo', 'rrr report /read/only/run --out report'],
  compare: ['rrr compare runs/seed-1 runs/seed-2 runs/seed-3 --out joined'],
  try: ['rrr try runs/demo', `rrr try runs/demo --query '{"nums": [3, 5, 7], "target": 26}'`],
  status: ['rrr status runs/demo --watch', 'rrr status runs/demo --json'],
  logs: ['rrr logs runs/demo --follow', 'rrr logs runs/demo --worker sampler-0 --lines 200'],
  fetch: [
    'rrr fetch -c configs/countdown-qwen2.5-1.5b.yaml                    # on a login node',
    'HF_HUB_OFFLINE=1 rrr run -c configs/countdown-qwen2.5-1.5b.yaml     # on a node without a network',
  ],
  init: [
    'rrr init --model Qwen/Qwen2.5-1.5B-Instruct --task countdown --gpus 1x80 --out my.yaml',
    'rrr init --model Qwen/Qwen2.5-7B-Instruct --task ./near.py:Near --data near.jsonl --gpus 4x80 --out near.yaml',
  ],
  plan: [
    'rrr plan -c configs/countdown-qwen2.5-1.5b.yaml --gpus 8x80 --price 2.5',
    'rrr plan -c configs/demo.yaml --assume failure_rate=0.7 --json',
  ],
  doctor: ['rrr doctor -c configs/demo.yaml', 'rrr doctor --json'],
  setup: ['rrr setup', 'rrr setup --stack light'],
  'task check': [
    'rrr task check -c configs/demo.yaml --rows 20',
    'rrr task check ./near.py:Near -c near.yaml',
  ],
  'data stats': ['rrr data stats -c configs/demo-functions.yaml'],
};

export const EXIT_CODES = `
Exit codes:
  0    ok
  1    the run failed: a worker, the machine, a model
  2    config, data or command line at fault; what to do is said
  3    a bug in rrr, or an exception in a task's own code
  130  interrupted, and everything saved: --resume goes on`;

/** Empty for a command that has none. */
export function showExamples(command: string): string {
  const lines = EXAMPLES[command] ?? [];
  return lines.length === 0 ? '' : `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
