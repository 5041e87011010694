/**
 * Every frame that crosses a worker's pipe, one JSON object a line. workers/rrr_workers/runtime/frames.py is the other
 * side; test/fixtures/frames.jsonl is parsed by the tests of both.
 *
 *   worker:  hello ->            ready ->            result | error | progress | event ...       bye | fatal
 *   parent:           start ->            call ...                                        stop ->
 */
import { z } from 'zod';

export const PROTOCOL_VERSION = 2;

const count = z.int().nonnegative();

/** Errors are told apart by what they end. */
const errorInfo = z.object({
  /**
   * user: the run, as the input is at fault. bug: the run, as rrr or a task has a defect. worker: this process; what it
   * had not answered is asked again elsewhere. call: this call alone.
   */
  type: z.enum(['user', 'bug', 'worker', 'call']),
  message: z.string(),
  cure: z.string().optional(),
  /** call: it may be asked again. */
  retryable: z.boolean().default(false),
});
export type ErrorInfo = z.output<typeof errorInfo>;

export const workerFrame = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    protocol: z.int(),
    role: z.string(),
    pid: z.int(),
    versions: z.record(z.string(), z.string()),
  }),
  z.object({ type: z.literal('ready'), info: z.record(z.string(), z.json()) }),
  z.object({ type: z.literal('result'), id: count, value: z.json() }),
  /** How a call failed; the worker goes on. */
  z.object({ type: z.literal('error'), id: count, error: errorInfo }),
  /** Why the worker can't start, or can't go on: its last frame. */
  z.object({ type: z.literal('fatal'), error: errorInfo }),
  /** Of the call with this id, or, while the worker starts, of none. */
  z.object({
    type: z.literal('progress'),
    id: count.nullable(),
    phase: z.string(),
    done: count,
    total: count.nullable(),
  }),
  z.object({ type: z.literal('event'), id: count, event: z.json() }),
  z.object({ type: z.literal('bye'), reason: z.string() }),
]);
export type WorkerFrame = z.output<typeof workerFrame>;

export const parentFrame = z.discriminatedUnion('type', [
  /** `config` is the resolved config; `options` are the role's own: which model, which folder. */
  z.object({
    type: z.literal('start'),
    protocol: z.int(),
    config: z.record(z.string(), z.json()),
    options: z.record(z.string(), z.json()),
  }),
  z.object({
    type: z.literal('call'),
    id: count,
    method: z.string(),
    params: z.record(z.string(), z.json()),
  }),
  z.object({ type: z.literal('stop') }),
]);
export type ParentFrame = z.output<typeof parentFrame>;
