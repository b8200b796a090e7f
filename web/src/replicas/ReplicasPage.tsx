import { useState } from 'react';
import { session } from '../api/client';
import { replicas } from '../api/endpoints';
import type { Replica } from '../api/types';
import { type TextKey, useLang, useT } from '../i18n';
import { ago, bytes, dateTime, number } from '../lib/format';
import { useResource } from '../lib/resource';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Empty, Loading, Page, Progress, Tag } from '../ui/parts';
import { Externals } from './Externals';
import { MemoryBar } from './MemoryBar';
import { StartModel } from './StartModel';

const EVERY_MS = 2500;

export function ReplicasPage() {
  const t = useT();
  const admin = useStore(session)?.me.role === 'admin';
  const list = useResource('replicas', (signal) => replicas.list(signal), EVERY_MS);
  const [stopping, setStopping] = useState<Replica | null>(null);

  return (
    <Page title={t('replicas.title')} lead={t('replicas.lead')}>
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!list.data && list.error === null && <Loading />}
      {list.data && (
        <>
          <MemoryBar memory={list.data.memory} />
          <section aria-labelledby="running">
            <div className="section-head">
              <h2 id="running">{t('replicas.running')}</h2>
              {admin && <StartModel onStarted={() => void list.reload()} />}
            </div>
            {list.data.data.length === 0 && (
              <Empty icon="replicas" title={t('replicas.none')}>
                <p>{t('replicas.noneText')}</p>
              </Empty>
            )}
            <ul className="rows">
              {list.data.data.map((replica) => (
                <ReplicaRow
                  key={replica.id}
                  replica={replica}
                  onStop={admin ? () => setStopping(replica) : undefined}
                />
              ))}
            </ul>
          </section>
        </>
      )}
      {admin && <Externals />}
      {stopping && (
        <FormDialog
          title={t('replicas.stopTitle', { model: stopping.model })}
          submit={t('replicas.stop')}
          danger
          onClose={() => setStopping(null)}
          onSubmit={async () => {
            await replicas.stop(stopping.id);
            setStopping(null);
            await list.reload();
          }}
        >
          <p>{t('replicas.stopText')}</p>
        </FormDialog>
      )}
    </Page>
  );
}

const LOOKS = { loading: 'accent', ready: 'good', idle: 'plain', failed: 'bad', stopping: 'warn' } as const;

function ReplicaRow({ replica, onStop }: { replica: Replica; onStop: (() => void) | undefined }) {
  const t = useT();
  const lang = useLang();
  const { stats } = replica;
  const local = replica.kind === 'local';
  return (
    <li className="row">
      <div className="row-main">
        <strong>{replica.model}</strong>
        <Tag look={LOOKS[replica.state]}>{t(`replicas.state.${replica.state}` as TextKey)}</Tag>
        <Tag>{t(local ? 'replicas.local' : 'replicas.external')}</Tag>
      </div>
      <p className="row-facts">
        {local && replica.memory_bytes ? <span>{bytes(replica.memory_bytes, lang)}</span> : null}
        <span>
          {replica.slots > 0
            ? t('replicas.active', { active: replica.active, slots: replica.slots })
            : t('replicas.activeOnly', { active: replica.active })}
        </span>
        {replica.queued > 0 && <span>{t('replicas.queued', { n: replica.queued })}</span>}
        {stats && stats.decode_tokens_per_second > 0 && (
          <span>{t('replicas.speed', { n: number(stats.decode_tokens_per_second, lang, 1) })}</span>
        )}
        <span title={dateTime(replica.since, lang)}>{t('replicas.since', { time: ago(replica.since, lang) })}</span>
        {replica.idle_unload_at ? (
          <span title={dateTime(replica.idle_unload_at, lang)}>
            {t('replicas.unloads', { time: ago(replica.idle_unload_at, lang) })}
          </span>
        ) : null}
        {replica.restarts > 0 && <span>{t('replicas.restarts', { n: replica.restarts })}</span>}
      </p>
      {replica.state === 'loading' && (
        <Progress
          label={`${replica.model}: ${t('replicas.state.loading')}`}
          done={replica.load_fraction ?? 0}
          total={replica.load_fraction ? 1 : null}
        />
      )}
      {replica.error && <p className="field-error">{replica.error.message}</p>}
      {onStop && local && replica.state !== 'stopping' && (
        <Button
          small
          className="row-action"
          icon="stop"
          onClick={onStop}
          aria-label={`${t('replicas.stop')}: ${replica.model}`}
        >
          {t('replicas.stop')}
        </Button>
      )}
    </li>
  );
}
