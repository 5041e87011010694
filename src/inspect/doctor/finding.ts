/** What the doctor's checks take and give. */
import type { Config } from '../../config/schema.ts';

export interface Finding {
  /** One for each kind of fault: it never changes. */
  id: string;
  /** error: what was asked for can't work. warning: it may not, or not well. info: worth knowing. */
  level: 'error' | 'warning' | 'info';
  found: string;
  cure: string;
}

/** What is looked at. */
export interface Subject {
  env: NodeJS.ProcessEnv;
  /** Absent without a config, or where that has problems. */
  config?: Config | undefined;
  /** The run directory, absolute. */
  run: string;
}

export type Findings = Finding[] | Promise<Finding[]>;

export const error = (id: string, found: string, cure: string): Finding => ({
  id,
  level: 'error',
  found,
  cure,
});
export const warning = (id: string, found: string, cure: string): Finding => ({
  id,
  level: 'warning',
  found,
  cure,
});
export const info = (id: string, found: string, cure: string): Finding => ({
  id,
  level: 'info',
  found,
  cure,
});
