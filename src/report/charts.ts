/** Charts as SVG text, drawn by ECharts without a browser. Colours follow the page: text is currentColor. */
import { BarChart, CustomChart, type CustomSeriesOption, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { BeforeAfter, TrainStep } from './report.ts';
import type { Proportion } from './statistics.ts';

echarts.use([BarChart, CustomChart, LineChart, GridComponent, LegendComponent, SVGRenderer]);

export const COLOURS = {
  before: '#8d99ae',
  after: '#0f8b8d',
  faint: '#0f8b8d55',
  grid: '#88888833',
} as const;

const TEXT = { color: 'currentColor', fontFamily: 'inherit' };
const AXIS = { axisLabel: TEXT, nameTextStyle: TEXT, splitLine: { lineStyle: { color: COLOURS.grid } } };

/** `id` is unique on the page: the chart's clip paths are named by it. */
function draw(id: string, option: echarts.EChartsCoreOption, height: number): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 860, height });
  chart.setOption({ animation: false, textStyle: TEXT, backgroundColor: 'transparent', ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return (
    svg
      // The page scales it: a fixed size would overflow a phone.
      .replace(/^<svg width="\d+" height="\d+"/, '<svg role="img"')
      // Hover styles, and ids that count the charts of the process: the same run must give the same page.
      .replace(/<style ?>.*?<\/style>/gs, '')
      .replace(/ class="[^"]*"/g, '')
      .replace(/zr\d+-/g, `${id}-`)
  );
}

/** Pairs of bars with their 95 % intervals. */
export function drawShares(
  id: string,
  groups: readonly ({ label: string } & BeforeAfter<Proportion>)[],
): string {
  const bars = (side: 'before' | 'after') => ({
    name: side === 'before' ? 'before training' : 'after training',
    type: 'bar',
    barMaxWidth: 46,
    itemStyle: { color: COLOURS[side], borderRadius: [3, 3, 0, 0] },
    data: groups.map((group) => 100 * group[side].rate),
  });
  return draw(
    id,
    {
      legend: { top: 0, itemGap: 36, textStyle: TEXT },
      grid: { left: 48, right: 12, top: 36, bottom: 28 },
      xAxis: {
        type: 'category',
        data: groups.map(({ label }) => label),
        axisLabel: { ...TEXT, interval: 0 },
      },
      yAxis: { type: 'value', name: '% passed', min: 0, ...AXIS },
      series: [
        bars('before'),
        bars('after'),
        drawIntervals(groups, 'before'),
        drawIntervals(groups, 'after'),
      ],
    },
    320,
  );
}

function drawIntervals(
  groups: readonly BeforeAfter<Proportion>[],
  side: 'before' | 'after',
): CustomSeriesOption {
  return {
    type: 'custom',
    encode: { x: 0, y: [1, 2] },
    silent: true,
    z: 10,
    data: groups.map((group, index) => [index, ...group[side].interval.map((end) => 100 * end)]),
    renderItem: (_params, api) => {
      const layout = api.barLayout({ barMaxWidth: 46, count: 2 })?.[side === 'before' ? 0 : 1];
      const [x = 0, low = 0] = api.coord([api.value(0), api.value(1)]);
      const [, high = 0] = api.coord([api.value(0), api.value(2)]);
      const centre = x + (layout?.offsetCenter ?? 0);
      const line = (x1: number, y1: number, x2: number, y2: number) =>
        ({
          type: 'line',
          shape: { x1, y1, x2, y2 },
          style: { stroke: 'currentColor', lineWidth: 1.5 },
        }) as const;
      return {
        type: 'group',
        children: [
          line(centre, low, centre, high),
          line(centre - 5, low, centre + 5, low),
          line(centre - 5, high, centre + 5, high),
        ],
      };
    },
  };
}

/** The rate of second tries of each step, thin, with a moving average over a twentieth of the run, thick. */
export function drawTrainingCurve(steps: readonly TrainStep[]): string {
  const rates = steps.map(({ second_try }) => 100 * second_try);
  const window = Math.max(3, Math.round(steps.length / 20));
  return drawLines('curve', 'second try, % passed', steps, [
    { name: 'step', values: rates, colour: COLOURS.faint, width: 1 },
    { name: `mean of ${window} steps`, values: movingMean(rates, window), colour: COLOURS.after, width: 2.5 },
  ]);
}

export function drawReflectionLengths(steps: readonly TrainStep[]): string {
  const values = steps.map(({ reflection_tokens }) => reflection_tokens);
  return drawLines('length', 'reflection, tokens', steps, [
    { name: 'mean length', values, colour: COLOURS.after, width: 2 },
  ]);
}

export function drawKl(steps: readonly TrainStep[]): string {
  return drawLines('kl', 'KL to the base model', steps, [
    { name: 'KL', values: steps.map(({ kl }) => kl), colour: COLOURS.after, width: 2 },
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
        legend: { top: 0, itemGap: 36, textStyle: TEXT, data: lines.map((line) => line.name) },
      }),
      grid: { left: 56, right: 16, top: 36, bottom: 40 },
      xAxis: {
        type: 'value',
        name: 'step',
        nameLocation: 'middle',
        nameGap: 26,
        minInterval: 1,
        max: steps.at(-1)?.step ?? 1,
        ...AXIS,
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
    260,
  );
}

function movingMean(values: readonly number[], window: number): number[] {
  return values.map((_, index) => {
    const slice = values.slice(Math.max(0, index - window + 1), index + 1);
    return slice.reduce((sum, value) => sum + value, 0) / slice.length;
  });
}
