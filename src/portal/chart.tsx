// Use over time as bars, stacked by route: a picture that is drawn on the server, so that it needs no script, and the same
// numbers as a table.

import { scaleBand, scaleLinear } from 'd3-scale';
import { stack } from 'd3-shape';
import type { VNode } from 'preact';
import { dayText, numberText, shortText } from './format.ts';
import { Scroll } from './scroll.tsx';

/** What was used in one bucket of time on one route. */
export interface Amount {
  /** RFC 3339 in UTC, where it begins. */
  readonly start: string;
  readonly route: string;
  readonly value: number;
}

export interface ChartProps {
  /** What is counted, such as `credits`. */
  readonly unit: string;
  /** Every bucket, in the order of time, also where nothing was used. */
  readonly starts: readonly string[];
  /** How a bucket is called. */
  readonly labelOf?: (start: string) => string;
  readonly amounts: readonly Amount[];
  readonly caption: string;
  /** For the place in the page. */
  readonly id: string;
}

/** So many routes have a colour of their own; the rest are one. */
const seriesMax = 6;
const size = { width: 720, height: 230, left: 64, right: 8, top: 16, bottom: 32 };

interface Series {
  readonly name: string;
  /** By the bucket's place. */
  readonly values: readonly number[];
  readonly total: number;
}

/** The picture with its legend, and the table that says the same. */
export function UseChart({ unit, starts, labelOf = dayText, amounts, caption, id }: ChartProps): VNode {
  const series = seriesOf(starts, amounts);
  if (series.length === 0) return <p class="muted empty">Nothing was used in this time.</p>;
  return (
    <figure class="chart">
      <Bars series={series} starts={starts} labelOf={labelOf} unit={unit} caption={caption} />
      <ul class="legend" aria-label="Routes">
        {series.map(({ name, total }, index) => (
          <li key={name}>
            <span class={`swatch s${index}`} aria-hidden="true" />
            <span class="clip">{name}</span> <strong>{numberText(total)}</strong>
          </li>
        ))}
      </ul>
      <details id={id}>
        <summary>As a table</summary>
        <Table series={series} starts={starts} labelOf={labelOf} caption={caption} />
      </details>
    </figure>
  );
}

/** The routes that were used most, and the rest as one. */
function seriesOf(starts: readonly string[], amounts: readonly Amount[]): Series[] {
  const places = new Map(starts.map((start, place) => [start, place]));
  const byRoute = new Map<string, number[]>();
  for (const { start, route, value } of amounts) {
    const place = places.get(start);
    if (place === undefined || value === 0) continue;
    const values = byRoute.get(route) ?? new Array<number>(starts.length).fill(0);
    values[place] = (values[place] ?? 0) + value;
    byRoute.set(route, values);
  }
  const sorted = [...byRoute]
    .map(([name, values]) => ({ name, values, total: sumOf(values) }))
    .sort((a, b) => b.total - a.total || (a.name < b.name ? -1 : 1));
  if (sorted.length <= seriesMax) return sorted;
  const rest = sorted.slice(seriesMax - 1);
  const values = starts.map((_, place) => sumOf(rest.map((each) => each.values[place] ?? 0)));
  return [...sorted.slice(0, seriesMax - 1), { name: `${rest.length} others`, values, total: sumOf(values) }];
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

type PlotProps = Pick<ChartProps, 'starts' | 'caption'> & {
  readonly series: readonly Series[];
  readonly labelOf: (start: string) => string;
};

function Bars({ series, starts, labelOf, unit, caption }: PlotProps & { unit: string }): VNode {
  const names = series.map((_, index) => String(index));
  const rows = starts.map((_, place) => series.map(({ values }) => values[place] ?? 0));
  const layers = stack<number[], string>()
    .keys(names)
    .value((row, name) => row[Number(name)] ?? 0)(rows);
  const x = scaleBand<number>()
    .domain(starts.map((_, place) => place))
    .range([size.left, size.width - size.right])
    .padding(0.2);
  const y = scaleLinear()
    .domain([0, Math.max(1, ...rows.map(sumOf))])
    .nice(4)
    .range([size.height - size.bottom, size.top]);
  const ticks = y.ticks(4).filter(Number.isInteger);
  const labelEvery = Math.ceil(starts.length / 7);
  return (
    <svg viewBox={`0 0 ${size.width} ${size.height}`} role="img" aria-label={caption}>
      {ticks.map((tick) => (
        <g key={tick}>
          <line class="grid" x1={size.left} x2={size.width - size.right} y1={y(tick)} y2={y(tick)} />
          <text class="tick" x={size.left - 6} y={y(tick) + 4} text-anchor="end">
            {shortText(tick)}
          </text>
        </g>
      ))}
      {starts.map((start, place) => {
        const left = x(place) ?? 0;
        const sum = sumOf(rows[place] ?? []);
        return (
          <g key={start}>
            <title>{`${labelOf(start)}: ${numberText(sum)} ${unit}`}</title>
            <rect
              class="hit"
              x={left}
              width={x.bandwidth()}
              y={size.top}
              height={size.height - size.bottom - size.top}
            />
            {layers.map((layer, index) => {
              const [from = 0, to = 0] = layer[place] ?? [];
              const height = y(from) - y(to);
              if (height === 0) return null;
              return (
                <rect
                  key={layer.key}
                  class={`bar s${index}`}
                  x={left}
                  width={x.bandwidth()}
                  y={y(to)}
                  height={height}
                />
              );
            })}
            {place % labelEvery === 0 && (
              <text class="tick" x={left + x.bandwidth() / 2} y={size.height - 8} text-anchor="middle">
                {labelOf(start)}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

function Table({ series, starts, labelOf, caption }: PlotProps): VNode {
  return (
    <Scroll label={caption}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">When</th>
            {series.map(({ name }) => (
              <th key={name} scope="col" class="number">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {starts.map((start, place) => (
            <tr key={start}>
              <th scope="row">{labelOf(start)}</th>
              {series.map(({ name, values }) => (
                <td key={name} class="number">
                  {numberText(values[place] ?? 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
