// What may be used, and what is used of it.

import { useState } from 'react';
import { quotas } from '../api/endpoints';
import type { QuotaUse } from '../api/types';
import { type TextKey, useLang, useT } from '../i18n';
import { dateTime, number } from '../lib/format';
import { useResource } from '../lib/resource';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Field, Progress, Select } from '../ui/parts';

const MEASURES = ['tokens', 'requests', 'images', 'job_seconds', 'storage_bytes', 'concurrent_jobs'] as const;
const PERIODS = ['minute', 'hour', 'day', 'month'] as const;
const SUBJECTS = ['tenant', 'each_key'] as const;

const standing = (measure: QuotaUse['measure']) => measure === 'storage_bytes' || measure === 'concurrent_jobs';

export function Quotas({ admin }: { admin: boolean }) {
  const t = useT();
  const lang = useLang();
  const list = useResource('quotas', (signal) => quotas.list(signal), 15_000);
  const [setting, setSetting] = useState(false);
  const [removing, setRemoving] = useState<QuotaUse | null>(null);
  const rows = list.data?.data ?? [];
  const word = (quota: QuotaUse) =>
    [
      t(`quotas.measure.${quota.measure}` as TextKey),
      quota.accelerator,
      t(`quotas.period.${quota.period}` as TextKey),
      t(`quotas.subject.${quota.subject}` as TextKey),
      quota.subject_id,
    ]
      .filter((part) => part !== '')
      .join(' · ');
  if (rows.length === 0 && !admin) return null;
  return (
    <section aria-labelledby="quotas">
      <div className="section-head">
        <h2 id="quotas">{t('quotas.title')}</h2>
        {admin && (
          <Button small icon="plus" onClick={() => setSetting(true)}>
            {t('quotas.set')}
          </Button>
        )}
      </div>
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {rows.length === 0 && <p className="hint">{t('quotas.none')}</p>}
      {rows.length > 0 && (
        <div className="table-frame">
          <table className="table">
            <caption className="visually-hidden">{t('quotas.title')}</caption>
            <thead>
              <tr>
                <th scope="col">{t('quotas.quota')}</th>
                <th scope="col" className="figure">
                  {t('quotas.used')}
                </th>
                <th scope="col">{t('quotas.renews')}</th>
                {admin && (
                  <th scope="col">
                    <span className="visually-hidden">{t('keys.actions')}</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {rows.map((quota) => (
                <tr key={quota.id}>
                  <th scope="row" data-label={t('quotas.quota')}>
                    {word(quota)}
                    <Progress label={word(quota)} done={quota.used} total={quota.amount} />
                  </th>
                  <td className="figure" data-label={t('quotas.used')}>
                    {number(quota.used, lang)} / {number(quota.amount, lang)}
                  </td>
                  <td data-label={t('quotas.renews')}>{quota.renews_at ? dateTime(quota.renews_at, lang) : ''}</td>
                  {admin && (
                    <td className="actions">
                      <Button
                        small
                        onClick={() => setRemoving(quota)}
                        aria-label={`${t('quotas.remove')}: ${word(quota)}`}
                      >
                        {t('quotas.remove')}
                      </Button>
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {setting && (
        <SetQuota
          onClose={() => setSetting(false)}
          onDone={() => {
            setSetting(false);
            void list.reload();
          }}
        />
      )}
      {removing && (
        <FormDialog
          title={t('quotas.removeTitle')}
          submit={t('quotas.remove')}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await quotas.remove(removing.id);
            setRemoving(null);
            await list.reload();
          }}
        >
          <p>{word(removing)}</p>
        </FormDialog>
      )}
    </section>
  );
}

function SetQuota({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const t = useT();
  const [measure, setMeasure] = useState<QuotaUse['measure']>('tokens');
  const [period, setPeriod] = useState<QuotaUse['period']>('month');
  const [subject, setSubject] = useState<QuotaUse['subject']>('tenant');
  const [amount, setAmount] = useState('');
  return (
    <FormDialog
      title={t('quotas.set')}
      submit={t('quotas.set')}
      onClose={onClose}
      onSubmit={async () => {
        await quotas.set({
          subject,
          measure,
          period: standing(measure) ? 'standing' : period,
          amount: Number(amount),
        });
        onDone();
      }}
    >
      <Select
        label={t('quotas.quota')}
        value={measure}
        onChange={setMeasure}
        choices={MEASURES.map((value) => ({ value, label: t(`quotas.measure.${value}`) }))}
      />
      {!standing(measure) && (
        <Select
          label={t('quotas.period')}
          value={period}
          onChange={setPeriod}
          choices={PERIODS.map((value) => ({ value, label: t(`quotas.period.${value}`) }))}
        />
      )}
      <Select
        label={t('quotas.subject')}
        value={subject}
        onChange={setSubject}
        choices={SUBJECTS.map((value) => ({ value, label: t(`quotas.subject.${value}`) }))}
      />
      <Field
        label={t('quotas.amount')}
        type="number"
        min="0"
        step="1"
        required
        value={amount}
        onChange={(event) => setAmount(event.target.value)}
      />
    </FormDialog>
  );
}
