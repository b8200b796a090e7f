import { useState } from 'react';
import { jobs } from '../api/endpoints';
import type { Job } from '../api/types';
import { type TextKey, useLang, useT } from '../i18n';
import { ago, bytes, dateTime, number } from '../lib/format';
import { useResource } from '../lib/resource';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote, toastError } from '../ui/errors';
import { Empty, Loading, Page, Progress, Select, Tag } from '../ui/parts';
import { JobLog } from './JobLog';

const EVERY_MS = 1500;
const PAGE = 50;
const FILTERS = ['all', 'active', 'succeeded', 'failed', 'cancelled'] as const;
type Filter = (typeof FILTERS)[number];

const stateOf = (filter: Filter) =>
  filter === 'all' ? undefined : filter === 'active' ? 'blocked,queued,starting,running' : filter;

export function JobsPage() {
  const t = useT();
  const [filter, setFilter] = useState<Filter>('all');
  const [after, setAfter] = useState<string[]>([]);
  const [removing, setRemoving] = useState<Job | null>(null);
  const page = after.at(-1);
  const list = useResource(
    `jobs ${filter} ${page ?? ''}`,
    (signal) => jobs.list({ state: stateOf(filter), limit: PAGE, after: page }, signal),
    EVERY_MS,
  );
  const act = (work: Promise<unknown>) =>
    work.then(
      () => list.reload(),
      (error: unknown) => toastError(t, error),
    );

  return (
    <Page
      title={t('jobs.title')}
      lead={t('jobs.lead')}
      actions={
        <Select
          label={t('jobs.show')}
          value={filter}
          onChange={(value) => {
            setFilter(value);
            setAfter([]);
          }}
          choices={FILTERS.map((value) => ({ value, label: t(`jobs.filter.${value}`) }))}
        />
      }
    >
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!list.data && list.error === null && <Loading />}
      {list.data?.data.length === 0 && (
        <Empty icon="jobs" title={t('jobs.none')}>
          <p>{t('jobs.noneText')}</p>
        </Empty>
      )}
      <ul className="rows">
        {list.data?.data.map((job) => (
          <JobRow
            key={job.id}
            job={job}
            onCancel={() => act(jobs.cancel(job.id))}
            onRetry={() => act(jobs.retry(job.id))}
            onRemove={() => setRemoving(job)}
          />
        ))}
      </ul>
      <div className="pager">
        {after.length > 0 && (
          <Button small icon="left" onClick={() => setAfter(after.slice(0, -1))}>
            {t('jobs.newer')}
          </Button>
        )}
        {list.data?.next && (
          <Button small icon="right" onClick={() => setAfter([...after, list.data?.next ?? ''])}>
            {t('jobs.older')}
          </Button>
        )}
      </div>
      {removing && (
        <FormDialog
          title={t('jobs.removeTitle')}
          submit={t('jobs.remove')}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await jobs.remove(removing.id);
            setRemoving(null);
            await list.reload();
          }}
        >
          <p>{t('jobs.removeText', { title: removing.title })}</p>
        </FormDialog>
      )}
    </Page>
  );
}

const LOOKS = {
  blocked: 'plain',
  queued: 'plain',
  starting: 'accent',
  running: 'accent',
  succeeded: 'good',
  failed: 'bad',
  cancelled: 'warn',
} as const;

const isOver = (job: Job) => job.state === 'succeeded' || job.state === 'failed' || job.state === 'cancelled';

interface RowProps {
  job: Job;
  onCancel: () => void;
  onRetry: () => void;
  onRemove: () => void;
}

function JobRow({ job, onCancel, onRetry, onRemove }: RowProps) {
  const t = useT();
  const lang = useLang();
  const [open, setOpen] = useState(false);
  const { progress } = job;
  const count = (value: number) => (progress?.unit === 'bytes' ? bytes(value, lang) : number(value, lang));
  return (
    <li className="row">
      <div className="row-main">
        <strong>{job.title}</strong>
        <Tag look={LOOKS[job.state]}>
          {t(job.cancelling ? 'jobs.cancelling' : (`jobs.state.${job.state}` as TextKey))}
        </Tag>
        <Tag>{job.kind}</Tag>
      </div>
      <p className="row-facts">
        <span title={dateTime(job.created_at, lang)}>{t('jobs.made', { time: ago(job.created_at, lang) })}</span>
        {job.ended_at && (
          <span title={dateTime(job.ended_at, lang)}>{t('jobs.ended', { time: ago(job.ended_at, lang) })}</span>
        )}
        {job.attempt > 1 && <span>{t('jobs.attempt', { n: job.attempt })}</span>}
        {!isOver(job) && progress && progress.total ? (
          <span>
            {count(progress.done ?? 0)} / {count(progress.total)}
          </span>
        ) : null}
      </p>
      {job.state === 'running' && (
        <Progress
          label={`${job.title}: ${progress?.stage ?? ''}`}
          done={progress?.fraction ?? 0}
          total={typeof progress?.fraction === 'number' ? 1 : null}
        />
      )}
      {job.reason && <p className="field-error">{job.reason.message}</p>}
      <div className="row-action">
        <Button
          small
          icon="table"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          aria-label={`${t('jobs.log')}: ${job.title}`}
        >
          {t('jobs.log')}
        </Button>
        {!isOver(job) && !job.cancelling && (
          <Button small icon="stop" onClick={onCancel} aria-label={`${t('jobs.cancel')}: ${job.title}`}>
            {t('jobs.cancel')}
          </Button>
        )}
        {(job.state === 'failed' || job.state === 'cancelled') && (
          <Button small icon="refresh" onClick={onRetry} aria-label={`${t('jobs.retry')}: ${job.title}`}>
            {t('jobs.retry')}
          </Button>
        )}
        {isOver(job) && (
          <Button small icon="trash" onClick={onRemove} aria-label={`${t('jobs.remove')}: ${job.title}`}>
            {t('jobs.remove')}
          </Button>
        )}
      </div>
      {open && <JobLog id={job.id} live={!isOver(job)} />}
    </li>
  );
}
