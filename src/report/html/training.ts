import { CURVES, type Curve, drawCurve } from '../charts/lines.ts';
import { compact } from '../format.ts';
import type { TrainStep } from '../report.ts';
import { chart } from './parts.ts';
import { type Html, html } from './tag.ts';

export function renderTraining(steps: readonly TrainStep[]): Html | '' {
  if (steps.length === 0) return '';
  return html`<section id="training"><h2>Training</h2>
<div class="columns">${CURVES.map((curve) => chart(`${curve.title}, by step`, drawCurve(curve, steps), describe(curve, steps)))}</div>
</section>`;
}

function describe({ value, unit }: Curve, steps: readonly TrainStep[]): string {
  const values = steps.map(value);
  const [first = 0, last = 0] = [values[0], values.at(-1)];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return `${compact(first)} at first, ${compact(last)} at last, between ${compact(low)} and ${compact(high)} (${unit})`;
}
