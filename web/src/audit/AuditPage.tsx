import { useState } from 'react';
import { json, send, session } from '../api/client';
import { type TextKey, useLang, useT } from '../i18n';
import { dateTime } from '../lib/format';
import { useDebounced, useResource } from '../lib/resource';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { ErrorNote } from '../ui/errors';
import { Empty, Loading, Page, SearchField, Tag } from '../ui/parts';
import { toast } from '../ui/toasts';

/** As `AuditRow` of the OpenAPI document. */
interface Row {
  seq: number;
  at: number;
  actor: { kind: string; id: string; name: string; address: string };
  action: string;
  target: string;
  outcome: 'done' | 'refused' | 'failed';
  details: Record<string, unknown>;
}
interface Rows {
  data: Row[];
  next?: string;
}
interface Report {
  ok: boolean;
  rows: number;
  head: { seq: number; hash: string };
  findings: ({ what: string; seq: number } | { what: 'removed'; from: number; to: number })[];
  more: number;
}

const LOOK = { done: 'good', refused: 'warn', failed: 'bad' } as const;
const WORD: Record<Row['outcome'], TextKey> = {
  done: 'audit.done',
  refused: 'audit.refused',
  failed: 'audit.failed',
};

export function AuditPage() {
  const t = useT();
  const signedIn = useStore(session);
  if (!signedIn?.me.rights.includes('audit')) {
    return (
      <Page title={t('audit.title')} lead={t('audit.lead')}>
        <Empty icon="shield" title={t('app.forbidden')}>
          <p>{t('app.forbiddenText')}</p>
        </Empty>
      </Page>
    );
  }
  return <Log />;
}

function Log() {
  const t = useT();
  const lang = useLang();
  const [actor, setActor] = useState('');
  const [action, setAction] = useState('');
  const [pages, setPages] = useState<string[]>([]);
  const [report, setReport] = useState<Report | null>(null);
  const [failed, setFailed] = useState<unknown>(null);
  const after = pages.at(-1);
  const query = { actor: useDebounced(actor, 300), action: useDebounced(action, 300), after };
  const list = useResource(`audit ${JSON.stringify(query)}`, (signal) =>
    json<Rows>('GET', '/api/audit', { query, signal }),
  );
  const rows = list.data?.data;

  const attempt = async (work: () => Promise<void>) => {
    setFailed(null);
    try {
      await work();
    } catch (error) {
      setFailed(error);
    }
  };
  const save = (format: 'jsonl' | 'csv') =>
    attempt(async () => {
      const answer = await send('GET', '/api/audit/export', { query: { format } });
      const link = document.createElement('a');
      link.href = URL.createObjectURL(await answer.blob());
      link.download = `audit.${format}`;
      link.click();
      URL.revokeObjectURL(link.href);
      toast(t('audit.saved'));
    });

  return (
    <Page
      title={t('audit.title')}
      lead={t('audit.lead')}
      actions={
        <>
          <Button
            icon="shield"
            onClick={() => void attempt(async () => setReport(await json<Report>('GET', '/api/audit/verify')))}
          >
            {t('audit.verify')}
          </Button>
          <Button icon="download" onClick={() => void save('jsonl')}>
            {t('audit.export')}
          </Button>
          <Button icon="table" onClick={() => void save('csv')}>
            {t('audit.exportCsv')}
          </Button>
        </>
      }
    >
      {failed !== null && <ErrorNote error={failed} />}
      {report && (
        <section className="note" role="status">
          {report.ok ? (
            <p>
              <Tag look="good">{t('audit.intact')}</Tag>{' '}
              {t('audit.intactText', { n: report.rows, head: `${report.head.seq}:${report.head.hash}` })}
            </p>
          ) : (
            <>
              <p>
                <Tag look="bad">{t('audit.broken')}</Tag>
              </p>
              <ul>
                {report.findings.map((finding) => {
                  const place = 'from' in finding ? `${finding.from}–${finding.to}` : String(finding.seq);
                  return <li key={finding.what + place}>{t(`audit.found.${finding.what}` as TextKey, { n: place })}</li>;
                })}
              </ul>
            </>
          )}
        </section>
      )}
      <div className="toolbar">
        <SearchField
          label={t('audit.byActor')}
          value={actor}
          onChange={(value) => {
            setPages([]);
            setActor(value);
          }}
        />
        <SearchField
          label={t('audit.byAction')}
          value={action}
          onChange={(value) => {
            setPages([]);
            setAction(value);
          }}
        />
      </div>
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!rows && list.error === null && <Loading />}
      {rows?.length === 0 && (
        <Empty icon="shield" title={t('audit.none')}>
          {null}
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <div className="table-frame">
          <table className="table">
            <caption className="visually-hidden">{t('audit.title')}</caption>
            <thead>
              <tr>
                <th scope="col">{t('audit.time')}</th>
                <th scope="col">{t('audit.actor')}</th>
                <th scope="col">{t('audit.action')}</th>
                <th scope="col">{t('audit.target')}</th>
                <th scope="col">{t('audit.outcome')}</th>
                <th scope="col">{t('audit.details')}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.seq}>
                  <td data-label={t('audit.time')}>{dateTime(row.at, lang)}</td>
                  <th scope="row" data-label={t('audit.actor')} title={row.actor.id}>
                    {row.actor.name} <small>{row.actor.address}</small>
                  </th>
                  <td data-label={t('audit.action')}>
                    <code>{row.action}</code>
                  </td>
                  <td data-label={t('audit.target')}>{row.target}</td>
                  <td data-label={t('audit.outcome')}>
                    <Tag look={LOOK[row.outcome]}>{t(WORD[row.outcome])}</Tag>
                  </td>
                  <td data-label={t('audit.details')}>
                    <small>{Object.keys(row.details).length > 0 ? JSON.stringify(row.details) : ''}</small>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <div className="toolbar">
        {pages.length > 0 && (
          <Button icon="left" onClick={() => setPages(pages.slice(0, -1))}>
            {t('audit.newer')}
          </Button>
        )}
        {list.data?.next && (
          <Button icon="right" onClick={() => setPages([...pages, list.data?.next ?? ''])}>
            {t('audit.older')}
          </Button>
        )}
      </div>
    </Page>
  );
}
