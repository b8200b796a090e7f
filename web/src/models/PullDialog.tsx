// What would be pulled, from where and under which licence; nothing moves before the licence is accepted.

import { useState } from 'react';
import { pulls } from '../api/endpoints';
import { useLang, useT } from '../i18n';
import { bytes } from '../lib/format';
import { useResource } from '../lib/resource';
import { Button } from '../ui/Button';
import { Dialog, FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Icon } from '../ui/Icon';
import { startPull } from './pulls';

export function PullDialog({ target, onClose }: { target: string; onClose: () => void }) {
  const t = useT();
  const lang = useLang();
  const [accepted, setAccepted] = useState(false);
  const {
    data: preview,
    error,
    reload,
    loading,
  } = useResource(`preview ${target}`, (signal) => pulls.preview(target, signal));

  if (!preview) {
    return (
      <Dialog title={t('models.acceptTitle', { model: target })} onClose={onClose}>
        <div className="dialog-body">
          {error !== null ? (
            <ErrorNote error={error} onRetry={loading ? undefined : () => void reload()} />
          ) : (
            <p className="loading" role="status">
              <span className="spinner" aria-hidden="true" /> {t('models.resolving')}
            </p>
          )}
        </div>
        <footer>
          <Button look="quiet" onClick={onClose}>
            {t('app.cancel')}
          </Button>
        </footer>
      </Dialog>
    );
  }
  const { licence } = preview;
  const name = licence.name || licence.spdx || '?';
  return (
    <FormDialog
      title={t('models.acceptTitle', { model: preview.name || preview.id })}
      submit={t('models.acceptGo')}
      disabled={!accepted}
      onClose={onClose}
      onSubmit={async () => {
        await startPull(target, true);
        onClose();
      }}
    >
      <dl className="facts-grid">
        <dt>{t('models.source')}</dt>
        <dd className="mono">{preview.source}</dd>
        <dt>{t('models.size')}</dt>
        <dd>
          {preview.size_bytes ? `${bytes(preview.size_bytes, lang)} · ` : ''}
          {t('models.fileCount', { n: preview.files.length })}
        </dd>
        <dt>{t('models.licence')}</dt>
        <dd>
          {name}
          {licence.spdx && licence.spdx !== name ? ` (${licence.spdx})` : ''}
          {licence.url && /^https?:/i.test(licence.url) && (
            <>
              {' · '}
              <a href={licence.url} target="_blank" rel="noopener noreferrer">
                {t('models.readLicence')}
              </a>
            </>
          )}
        </dd>
      </dl>
      {preview.fits === false && (
        <div className="note warn">
          <Icon name="warn" />
          <div className="note-body">{t('models.willNotFit')}</div>
        </div>
      )}
      {licence.text && (
        <details className="licence-text">
          <summary>{t('models.licenceText')}</summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a long text scrolls, and the keyboard must reach it */}
          <pre tabIndex={0}>{licence.text}</pre>
        </details>
      )}
      <p className="hint">{t('models.acceptText')}</p>
      <label className="check">
        <input type="checkbox" checked={accepted} onChange={(event) => setAccepted(event.target.checked)} />
        <span>{t('models.acceptCheck', { licence: name })}</span>
      </label>
    </FormDialog>
  );
}
