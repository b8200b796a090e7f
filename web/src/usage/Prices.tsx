// What use is charged at.

import { useState } from 'react';
import { prices } from '../api/endpoints';
import { useT } from '../i18n';
import { useResource } from '../lib/resource';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Field } from '../ui/parts';

const FIELDS = ['model', 'currency', 'prompt', 'completion', 'image', 'job_second', 'valid_from'] as const;
const AMOUNTS = ['prompt', 'completion', 'image', 'job_second'] as const;

export function Prices({ admin }: { admin: boolean }) {
  const t = useT();
  const list = useResource('prices', (signal) => prices.list(signal), 60_000);
  const [setting, setSetting] = useState(false);
  const [failed, setFailed] = useState<unknown>(null);
  const rows = list.data?.data ?? [];
  if (rows.length === 0 && !admin) return null;
  return (
    <section aria-labelledby="prices">
      <div className="section-head">
        <h2 id="prices">{t('prices.title')}</h2>
        {admin && (
          <Button small icon="plus" onClick={() => setSetting(true)}>
            {t('prices.set')}
          </Button>
        )}
      </div>
      {failed !== null && <ErrorNote error={failed} />}
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {rows.length === 0 && <p className="hint">{t('prices.none')}</p>}
      {rows.length > 0 && (
        <div className="table-frame">
          <table className="table">
            <caption className="visually-hidden">{t('prices.title')}</caption>
            <thead>
              <tr>
                <th scope="col">{t('prices.model')}</th>
                <th scope="col">{t('prices.valid_from')}</th>
                {AMOUNTS.map((name) => (
                  <th key={name} scope="col" className="figure">
                    {t(`prices.${name}`)}
                  </th>
                ))}
                {admin && (
                  <th scope="col">
                    <span className="visually-hidden">{t('keys.actions')}</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {rows.map((price) => (
                <tr key={`${price.model} ${price.valid_from}`}>
                  <th scope="row" data-label={t('prices.model')}>
                    {price.model}
                  </th>
                  <td data-label={t('prices.valid_from')}>{price.valid_from}</td>
                  {AMOUNTS.map((name) => (
                    <td key={name} className="figure" data-label={t(`prices.${name}`)}>
                      {price[name]} {price.currency}
                    </td>
                  ))}
                  {admin && (
                    <td className="actions">
                      <Button
                        small
                        aria-label={`${t('prices.remove')}: ${price.model} ${price.valid_from}`}
                        onClick={async () => {
                          try {
                            setFailed(null);
                            await prices.remove(price.model, price.valid_from);
                          } catch (error) {
                            setFailed(error);
                          }
                          await list.reload();
                        }}
                      >
                        {t('prices.remove')}
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
        <SetPrice
          onClose={() => setSetting(false)}
          onDone={() => {
            setSetting(false);
            void list.reload();
          }}
        />
      )}
    </section>
  );
}

function SetPrice({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const t = useT();
  const [values, setValues] = useState<Record<(typeof FIELDS)[number], string>>({
    model: '',
    currency: 'CNY',
    prompt: '0',
    completion: '0',
    image: '0',
    job_second: '0',
    valid_from: new Date().toISOString().slice(0, 10),
  });
  return (
    <FormDialog
      title={t('prices.set')}
      submit={t('prices.set')}
      onClose={onClose}
      onSubmit={async () => {
        await prices.set(values);
        onDone();
      }}
    >
      {FIELDS.map((name) => (
        <Field
          key={name}
          label={t(`prices.${name}`)}
          hint={name === 'model' ? t('prices.modelHint') : undefined}
          required
          value={values[name]}
          onChange={(event) => setValues({ ...values, [name]: event.target.value })}
        />
      ))}
    </FormDialog>
  );
}
