/**
 * Every frame that crosses a worker's pipe, one JSON object a line. workers/rrr_workers/protocol.py is the
 * other side; test/fixtures/frames.jsonl is parsed by the tests of both.
 *
 *   worker:  hello ->            ready ->        result | error | progress | event ...       bye
 *   parent:           start ->            call | cancel ...                        stop ->
 */
import { z } from 'zod';

export const PROTOCOL_VERSION = 1;

const count = z.int().nonnegative();

export const errorInfo = z.object({
  /** user: the input is at fault; worker: this worker can't go on; bug: a defect in rrr or in a task. */
  type: z.enum(['user', 'worker', 'bug']),
  message: z.string(),
  cure: z.string().optional(),
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
  /** An error without an id is the end of the worker itself. */
  z.object({ type: z.literal('error'), id: count.nullable(), error: errorInfo }),
  z.object({ type: z.literal('progress'), phase: z.string(), done: count, total: count.nullable() }),
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
  z.object({ type: z.literal('cancel'), id: count }),
  z.object({ type: z.literal('stop') }),
]);
export type ParentFrame = z.output<typeof parentFrame>;
