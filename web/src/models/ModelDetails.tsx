// Everything that is known of an installed model, and the check of its files.

import { useState } from 'react';
import { models } from '../api/endpoints';
import type { Manifest, Verification } from '../api/types';
import { useLang, useT } from '../i18n';
import { bytes, dateTime, number } from '../lib/format';
import { Button } from '../ui/Button';
import { CopyButton } from '../ui/CopyButton';
import { Dialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Icon } from '../ui/Icon';
import { originLabel } from './words';

export function ModelDetails({ model, admin, onClose }: { model: Manifest; admin: boolean; onClose: () => void }) {
  const t = useT();
  const lang = useLang();
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<Verification | null>(null);
  const [error, setError] = useState<unknown>(null);
  const { licence } = model;

  const verify = async () => {
    setBusy(true);
    setResult(null);
    setError(null);
    try {
      setResult(await models.verify(model.id));
    } catch (caught) {
      setError(caught);
    }
    setBusy(false);
  };

  const facts: [string, React.ReactNode][] = [
    ['ID', <code key="id">{model.id}</code>],
    [t('models.origin'), originLabel(t, model.origin)],
    [
      t('models.source'),
      <span key="s" className="mono">
        {model.source}
      </span>,
    ],
    [
      t('models.licence'),
      <span key="l">
        {licence.url && /^https?:/i.test(licence.url) ? (
          <a href={licence.url} target="_blank" rel="noopener noreferrer">
            {licence.name || licence.spdx}
          </a>
        ) : (
          licence.name || licence.spdx
        )}
        {model.licence_accepted && (
          <small>
            {' '}
            {t('models.acceptedBy', {
              by: model.licence_accepted.by || '–',
              at: dateTime(model.licence_accepted.at, lang),
            })}
          </small>
        )}
      </span>,
    ],
    [t('models.base'), model.base_model],
    [t('models.architecture'), model.architecture],
    [t('models.quantisation'), model.quantisation],
    [
      t('models.context'),
      model.context_length
        ? number(model.context_length, lang) + (model.chat_template ? '' : ` · ${t('models.noTemplate')}`)
        : null,
    ],
    [t('models.languages'), model.languages?.join(', ')],
    [t('models.installedAt'), dateTime(model.installed_at, lang)],
  ];

  return (
    <Dialog title={model.name || model.id} onClose={onClose} wide>
      <div className="dialog-body">
        <dl className="facts-grid">
          {facts
            .filter(([, value]) => value)
            .map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
        </dl>
        <h3 className="small-head">{t('models.files')}</h3>
        <ul className="files">
          {model.files.map((file) => {
            const check = result?.files.find((one) => one.path === file.path);
            return (
              <li key={file.path}>
                <span className="mono">{file.path}</span>
                <span>{bytes(file.size, lang)}</span>
                <span className="hash">
                  {t('models.hash')} <code>{file.sha256}</code>
                  <CopyButton text={file.sha256} label={`${t('app.copy')} ${t('models.hash')}`} />
                </span>
                {check && !check.ok && <span className="field-error">{check.reason}</span>}
              </li>
            );
          })}
        </ul>
        <div role="status">
          {result && (
            <div className={`note ${result.ok ? 'good' : 'error'}`}>
              <Icon name={result.ok ? 'shield' : 'warn'} />
              <div className="note-body">
                {result.ok
                  ? t('models.verified', { model: model.name })
                  : t('models.damaged', {
                      model: model.name,
                      files: result.files
                        .filter((file) => !file.ok)
                        .map((file) => file.path)
                        .join(', '),
                    })}
              </div>
            </div>
          )}
        </div>
        {error !== null && <ErrorNote error={error} />}
      </div>
      <footer>
        {admin && (
          <Button icon="shield" busy={busy} onClick={() => void verify()}>
            {t(busy ? 'models.verifying' : 'models.verify')}
          </Button>
        )}
        <Button look="primary" onClick={onClose}>
          {t('app.close')}
        </Button>
      </footer>
    </Dialog>
  );
}
