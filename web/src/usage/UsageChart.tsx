// Tokens a day as stacked bars, drawn by hand; the same figures as a table for whoever wants them.

import { useLayoutEffect, useRef, useState } from 'react';
import { useLang, useT } from '../i18n';
import { number } from '../lib/format';
import { Button } from '../ui/Button';
import { type Chart, niceCeiling } from './days';

/** Pixels that a label of a day takes, with room around it. */
const LABEL = 56;
const HEIGHT = 240;
const LEFT = 52;
const BOTTOM = 24;
const TOP = 10;

export function UsageChart({ chart }: { chart: Chart }) {
  const t = useT();
  const [asTable, setAsTable] = useState(false);
  const names = [...chart.models, ...(chart.hasOthers ? [t('usage.otherModels')] : [])];
  return (
    <section className="chart-card" aria-labelledby="per-day">
      <div className="section-head">
        <h2 id="per-day">{t('usage.perDay')}</h2>
        <Button small look="quiet" icon={asTable ? 'usage' : 'table'} onClick={() => setAsTable(!asTable)}>
          {t(asTable ? 'usage.chart' : 'usage.table')}
        </Button>
      </div>
      {asTable ? <DayTable chart={chart} names={names} /> : <Bars chart={chart} names={names} />}
      <ul className="legend" aria-hidden={asTable || undefined}>
        {names.map((name, index) => (
          <li key={name} className={`series-${index}`}>
            {name}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The width of an element in pixels: what is drawn keeps its size, and the days share what there is. */
function useWidth() {
  const ref = useRef<SVGSVGElement>(null);
  const [width, setWidth] = useState(720);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const measure = () => setWidth((before) => Math.round(element.getBoundingClientRect().width) || before);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width] as const;
}

function Bars({ chart, names }: { chart: Chart; names: string[] }) {
  const t = useT();
  const lang = useLang();
  const [frame, width] = useWidth();
  const ceiling = niceCeiling(chart.max);
  const plot = HEIGHT - TOP - BOTTOM;
  const step = (width - LEFT) / chart.days.length;
  const bar = Math.max(1.5, Math.min(36, step * 0.7));
  const y = (value: number) => TOP + plot * (1 - value / ceiling);
  const every = Math.ceil(LABEL / step);
  const peak = chart.days.reduce((best, day) => (day.total > best.total ? day : best));
  const short = new Intl.DateTimeFormat(lang === 'zh' ? 'zh-CN' : 'en', {
    month: 'numeric',
    day: 'numeric',
    timeZone: 'UTC',
  });
  const compact = new Intl.NumberFormat(lang === 'zh' ? 'zh-CN' : 'en', {
    notation: 'compact',
    maximumFractionDigits: 1,
  });
  return (
    <svg
      ref={frame}
      className="chart"
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={t('usage.chartLabel', { max: number(peak.total, lang), day: peak.day })}
    >
      {[0, 0.5, 1].map((share) => (
        <g key={share}>
          <line className="grid" x1={LEFT} x2={width} y1={y(ceiling * share)} y2={y(ceiling * share)} />
          <text className="axis" x={LEFT - 8} y={y(ceiling * share) + 4} textAnchor="end">
            {compact.format(ceiling * share)}
          </text>
        </g>
      ))}
      {chart.days.map((day, index) => {
        const x = LEFT + index * step + (step - bar) / 2;
        let below = 0;
        return (
          <g key={day.day}>
            <title>{`${day.day}: ${number(day.total, lang)}`}</title>
            <rect className="hit" x={LEFT + index * step} y={TOP} width={step} height={plot} />
            {day.tokens.map((tokens, place) => {
              const top = y(below + tokens);
              const height = y(below) - top;
              below += tokens;
              return tokens > 0 ? (
                <rect
                  key={names[place]}
                  className={`series-${place}`}
                  x={x}
                  y={top}
                  width={bar}
                  height={height}
                  rx={Math.min(2, height / 2)}
                />
              ) : null;
            })}
            {index % every === 0 && (
              <text className="axis" x={x + bar / 2} y={HEIGHT - 6} textAnchor="middle">
                {short.format(new Date(`${day.day}T00:00:00Z`))}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

function DayTable({ chart, names }: { chart: Chart; names: string[] }) {
  const t = useT();
  const lang = useLang();
  return (
    <div className="table-frame">
      <table className="table">
        <caption className="visually-hidden">{t('usage.perDay')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('usage.day')}</th>
            {names.map((name) => (
              <th key={name} scope="col" className="figure">
                {name}
              </th>
            ))}
            <th scope="col" className="figure">
              {t('usage.total')}
            </th>
          </tr>
        </thead>
        <tbody>
          {chart.days
            .filter((day) => day.total > 0)
            .map((day) => (
              <tr key={day.day}>
                <th scope="row" data-label={t('usage.day')}>
                  {day.day}
                </th>
                {day.tokens.map((tokens, place) => (
                  <td key={names[place]} className="figure" data-label={names[place]}>
                    {number(tokens, lang)}
                  </td>
                ))}
                <td className="figure" data-label={t('usage.total')}>
                  {number(day.total, lang)}
                </td>
              </tr>
            ))}
        </tbody>
      </table>
    </div>
  );
}
