import type { TrainStep } from '../report.ts';
import { AXIS, COLOURS, draw, TEXT } from './draw.ts';

/** What is drawn of a step, and in what unit. */
export interface Curve {
  /** Unique on the page. */
  id: string;
  title: string;
  unit: string;
  value: (step: TrainStep) => number;
  /** With a moving average over a twentieth of the run. */
  smooth?: boolean;
}

export const CURVES: readonly Curve[] = [
  {
    id: 'curve',
    title: 'Second tries that passed',
    unit: '% passed',
    value: ({ second_try }) => 100 * second_try,
    smooth: true,
  },
  {
    id: 'spread',
    title: 'Spread of the reward within a group',
    unit: 'standard deviation',
    value: ({ reward_std }) => reward_std,
  },
  {
    id: 'length',
    title: 'Length of the reflections',
    unit: 'tokens, mean',
    value: ({ reflection_tokens }) => reflection_tokens,
  },
  {
    id: 'cut',
    title: 'Reflections cut at the limit',
    unit: '%',
    value: ({ reflection_truncated }) => 100 * reflection_truncated,
  },
  { id: 'kl', title: 'KL divergence from the base model', unit: 'nats a token', value: ({ kl }) => kl },
  { id: 'gradient', title: 'Gradient norm', unit: 'before clipping', value: ({ grad_norm }) => grad_norm },
  {
    id: 'gap',
    title: 'Log-probability gap of sampler and trainer',
    unit: 'mean |difference|',
    value: ({ logprob_difference }) => logprob_difference,
  },
];

export function drawCurve({ id, unit, value, smooth }: Curve, steps: readonly TrainStep[]): string {
  const values = steps.map(value);
  if (!smooth) return drawLines(id, unit, steps, [{ name: unit, values, colour: COLOURS.after, width: 2 }]);
  const window = Math.max(3, Math.round(steps.length / 20));
  return drawLines(id, unit, steps, [
    { name: 'step', values, colour: COLOURS.faint, width: 1 },
    {
      name: `mean of ${window} steps`,
      values: movingMean(values, window),
      colour: COLOURS.after,
      width: 2.5,
    },
  ]);
}

interface Line {
  name: string;
  values: readonly number[];
  colour: string;
  width: number;
}

function drawLines(id: string, name: string, steps: readonly TrainStep[], lines: readonly Line[]): string {
  return draw(
    id,
    {
      ...(lines.length > 1 && {
        legend: { top: 0, right: 8, itemGap: 16, textStyle: TEXT, data: lines.map((line) => line.name) },
      }),
      grid: { left: 60, right: 16, top: 36, bottom: 40 },
      xAxis: {
        type: 'value',
        name: 'step',
        nameLocation: 'middle',
        nameGap: 26,
        minInterval: 1,
        max: steps.at(-1)?.step ?? 1,
        ...AXIS,
        axisLabel: { ...AXIS.axisLabel, hideOverlap: true },
      },
      yAxis: { type: 'value', name, scale: true, ...AXIS, nameTextStyle: { ...TEXT, align: 'left' } },
      series: lines.map((line) => ({
        name: line.name,
        type: 'line',
        showSymbol: steps.length === 1,
        itemStyle: { color: line.colour },
        lineStyle: { color: line.colour, width: line.width },
        data: line.values.map((value, index) => [steps[index]?.step ?? index, value]),
      })),
    },
    230,
  );
}

function movingMean(values: readonly number[], window: number): number[] {
  return values.map((_, index) => {
    const slice = values.slice(Math.max(0, index - window + 1), index + 1);
    return slice.reduce((sum, value) => sum + value, 0) / slice.length;
  });
}
