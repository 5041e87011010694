/** Charts as SVG text, drawn by ECharts without a browser. Colours follow the page: text is currentColor. */
import { BarChart, CustomChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

echarts.use([BarChart, CustomChart, LineChart, GridComponent, LegendComponent, SVGRenderer]);

export const COLOURS = {
  before: '#8d99ae',
  after: '#0f8b8d',
  faint: '#0f8b8d66',
  grid: '#88888833',
} as const;

export const TEXT = { color: 'currentColor', fontFamily: 'inherit' };
export const AXIS = {
  axisLabel: { ...TEXT, formatter: tick },
  nameTextStyle: TEXT,
  splitLine: { lineStyle: { color: COLOURS.grid } },
};

/** Small ones in as few digits as there are: 4.2e-7. */
function tick(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : `${value}`;
}

/** Pixels: a phone of 390 shows it at nine tenths, so its text of 12 stays above 10. */
const WIDTH = 400;

/** `id` is unique on the page: the chart's clip paths are named by it. */
export function draw(id: string, option: echarts.EChartsCoreOption, height: number): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption({ animation: false, textStyle: TEXT, backgroundColor: 'transparent', ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return (
    svg
      // The page scales it: a fixed size would overflow a phone. What it shows is said in its caption.
      .replace(/^<svg width="\d+" height="\d+"/, '<svg aria-hidden="true"')
      // Hover styles, and ids that count the charts of the process: the same run must give the same page.
      .replace(/<style ?>.*?<\/style>/gs, '')
      .replace(/ class="[^"]*"/g, '')
      .replace(/zr\d+-/g, `${id}-`)
  );
}
