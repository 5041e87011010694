/** The models of a config that are no folders, with the keys that name them. */
import { isAbsolute } from 'node:path';
import type { Config } from './schema.ts';

export function hubModels({ model, eval: { model: evaluated, baselines } }: Config) {
  const models = [
    { key: 'model.name', name: model.name },
    { key: 'eval.model', name: evaluated },
    ...baselines.map((baseline, index) => ({ key: `eval.baselines.${index}.model`, name: baseline.model })),
  ];
  return models.flatMap(({ key, name }) => (name === undefined || isAbsolute(name) ? [] : [{ key, name }]));
}
