import { useMemo, useState } from 'react';
import { session } from '../api/client';
import { keys, usage } from '../api/endpoints';
import type { UsageRow } from '../api/types';
import { useLang, useT } from '../i18n';
import { number } from '../lib/format';
import { useResource } from '../lib/resource';
import { useStore } from '../lib/store';
import { ErrorNote } from '../ui/errors';
import { Empty, Loading, Page, Select } from '../ui/parts';
import { chartOf } from './days';
import { UsageChart } from './UsageChart';

const PERIODS = [7, 30, 90];

interface Sum {
  name: string;
  requests: number;
  prompt: number;
  completion: number;
}

function sumBy(rows: readonly UsageRow[], name: (row: UsageRow) => string): Sum[] {
  const sums = new Map<string, Sum>();
  for (const row of rows) {
    const key = name(row);
    const sum = sums.get(key) ?? { name: key, requests: 0, prompt: 0, completion: 0 };
    sum.requests += row.requests;
    sum.prompt += row.prompt_tokens;
    sum.completion += row.completion_tokens;
    sums.set(key, sum);
  }
  return [...sums.values()].sort((a, b) => b.prompt + b.completion - a.prompt - a.completion);
}

export function UsagePage() {
  const t = useT();
  const lang = useLang();
  const admin = useStore(session)?.me.role === 'admin';
  const [days, setDays] = useState(30);
  const list = useResource(`usage ${days}`, (signal) => usage.list(days, signal), 60_000);
  const names = useResource(`key names ${admin}`, async (signal) => (admin ? (await keys.list(signal)).data : []));
  const rows = list.data?.data;
  const chart = useMemo(() => (rows ? chartOf(rows, days, new Date()) : null), [rows, days]);
  const nameOf = (id: string) => names.data?.find((key) => key.id === id)?.name ?? id;
  const all = sumBy(rows ?? [], () => '')[0];

  return (
    <Page
      title={t('usage.title')}
      lead={t('usage.lead')}
      actions={
        <Select
          label={t('usage.days')}
          value={String(days)}
          onChange={(value) => setDays(Number(value))}
          choices={PERIODS.map((n) => ({ value: String(n), label: t('usage.lastDays', { n }) }))}
        />
      }
    >
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!rows && list.error === null && <Loading />}
      {rows?.length === 0 && (
        <Empty icon="usage" title={t('usage.none')}>
          {null}
        </Empty>
      )}
      {all && chart && rows && (
        <>
          <dl className="figures">
            {(
              [
                ['usage.requests', all.requests],
                ['usage.prompt', all.prompt],
                ['usage.completion', all.completion],
              ] as const
            ).map(([key, value]) => (
              <div key={key}>
                <dt>{t(key)}</dt>
                <dd>{number(value, lang)}</dd>
              </div>
            ))}
          </dl>
          <UsageChart chart={chart} />
          <SumTable title={t('usage.byModel')} first={t('usage.model')} sums={sumBy(rows, (row) => row.model)} />
          <SumTable title={t('usage.byKey')} first={t('usage.key')} sums={sumBy(rows, (row) => nameOf(row.key_id))} />
          <p className="hint">{t('usage.utc')}</p>
        </>
      )}
    </Page>
  );
}

function SumTable({ title, first, sums }: { title: string; first: string; sums: Sum[] }) {
  const t = useT();
  const lang = useLang();
  return (
    <section>
      <h2>{title}</h2>
      <div className="table-frame">
        <table className="table">
          <caption className="visually-hidden">{title}</caption>
          <thead>
            <tr>
              <th scope="col">{first}</th>
              <th scope="col" className="figure">
                {t('usage.requests')}
              </th>
              <th scope="col" className="figure">
                {t('usage.prompt')}
              </th>
              <th scope="col" className="figure">
                {t('usage.completion')}
              </th>
            </tr>
          </thead>
          <tbody>
            {sums.map((sum) => (
              <tr key={sum.name}>
                <th scope="row" data-label={first}>
                  {sum.name}
                </th>
                <td className="figure" data-label={t('usage.requests')}>
                  {number(sum.requests, lang)}
                </td>
                <td className="figure" data-label={t('usage.prompt')}>
                  {number(sum.prompt, lang)}
                </td>
                <td className="figure" data-label={t('usage.completion')}>
                  {number(sum.completion, lang)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
