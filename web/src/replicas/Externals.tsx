import { useState } from 'react';
import { externals } from '../api/endpoints';
import type { External } from '../api/types';
import { type TextKey, useLang, useT } from '../i18n';
import { ago } from '../lib/format';
import { useResource } from '../lib/resource';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Field, Tag } from '../ui/parts';

const EVERY_MS = 10_000;
const LOOKS = { ok: 'good', failed: 'bad', checking: 'plain' } as const;

export function Externals() {
  const t = useT();
  const lang = useLang();
  const list = useResource('externals', (signal) => externals.list(signal), EVERY_MS);
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<External | null>(null);
  return (
    <section aria-labelledby="externals">
      <div className="section-head">
        <h2 id="externals">{t('replicas.externals')}</h2>
        <Button icon="plus" onClick={() => setAdding(true)}>
          {t('replicas.addExternal')}
        </Button>
      </div>
      <p className="section-lead">{t('replicas.externalsLead')}</p>
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {list.data?.data.length === 0 && <p className="quiet-line">{t('replicas.noExternals')}</p>}
      <ul className="rows">
        {list.data?.data.map((engine) => (
          <li className="row" key={engine.id}>
            <div className="row-main">
              <strong>{engine.name}</strong>
              <Tag look={LOOKS[engine.state]}>{t(`replicas.health.${engine.state}` as TextKey)}</Tag>
            </div>
            <p className="row-facts">
              <span className="mono">{engine.base_url}</span>
              {engine.models.length > 0 && <span>{engine.models.join(', ')}</span>}
              {engine.checked_at ? <span>{t('replicas.checked', { time: ago(engine.checked_at, lang) })}</span> : null}
            </p>
            {engine.error && <p className="field-error">{engine.error.message}</p>}
            <Button
              small
              className="row-action"
              icon="trash"
              onClick={() => setRemoving(engine)}
              aria-label={`${t('replicas.removeExternal')}: ${engine.name}`}
            >
              {t('replicas.removeExternal')}
            </Button>
          </li>
        ))}
      </ul>
      {adding && (
        <AddExternal
          onClose={() => setAdding(false)}
          onAdded={() => {
            setAdding(false);
            void list.reload();
          }}
        />
      )}
      {removing && (
        <FormDialog
          title={t('replicas.removeExternalTitle', { name: removing.name })}
          submit={t('replicas.removeExternal')}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await externals.remove(removing.id);
            setRemoving(null);
            await list.reload();
          }}
        >
          <p>{t('replicas.removeExternalText')}</p>
        </FormDialog>
      )}
    </section>
  );
}

function AddExternal({ onClose, onAdded }: { onClose: () => void; onAdded: () => void }) {
  const t = useT();
  const [name, setName] = useState('');
  const [baseUrl, setBaseUrl] = useState('');
  const [apiKey, setApiKey] = useState('');
  const [served, setServed] = useState('');
  return (
    <FormDialog
      title={t('replicas.addExternal')}
      submit={t('replicas.add')}
      disabled={name.trim() === '' || baseUrl.trim() === ''}
      onClose={onClose}
      onSubmit={async () => {
        const list = served
          .split(/[,，\s]+/)
          .map((model) => model.trim())
          .filter((model) => model !== '');
        await externals.add({
          name: name.trim(),
          base_url: baseUrl.trim(),
          ...(apiKey.trim() ? { api_key: apiKey.trim() } : {}),
          ...(list.length > 0 ? { models: list } : {}),
        });
        onAdded();
      }}
    >
      <Field
        label={t('replicas.name')}
        value={name}
        onChange={(event) => setName(event.target.value)}
        autoComplete="off"
        required
        autoFocus
      />
      <Field
        label={t('replicas.baseUrl')}
        hint={t('replicas.baseUrlHint')}
        type="url"
        value={baseUrl}
        onChange={(event) => setBaseUrl(event.target.value)}
        autoComplete="off"
        required
      />
      <Field
        label={t('replicas.apiKey')}
        type="password"
        value={apiKey}
        onChange={(event) => setApiKey(event.target.value)}
        autoComplete="off"
      />
      <Field
        label={t('replicas.modelsField')}
        hint={t('replicas.modelsHint')}
        value={served}
        onChange={(event) => setServed(event.target.value)}
        autoComplete="off"
      />
    </FormDialog>
  );
}
