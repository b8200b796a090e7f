// What would be pulled, from where and under which licence; nothing moves before the licence is accepted.

import { useState } from 'react';
import { pulls } from '../api/endpoints';
import type { PullPreview } from '../api/types';
import { useLang, useT } from '../i18n';
import { bytes } from '../lib/format';
import { useResource } from '../lib/resource';
import { Button } from '../ui/Button';
import { Dialog, FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Icon } from '../ui/Icon';
import { Field, Select } from '../ui/parts';
import { startPull } from './pulls';

const isWeb = (url: string | null | undefined): url is string => /^https?:/i.test(url ?? '');

export function PullDialog({ target: first, onClose }: { target: string; onClose: () => void }) {
  const t = useT();
  const lang = useLang();
  const [target, setTarget] = useState(first);
  const [accepted, setAccepted] = useState(false);
  const [id, setId] = useState('');
  const [named, setNamed] = useState('');
  const [shown, setShown] = useState<PullPreview | null>(null);
  const { data, error, reload, loading } = useResource(`preview ${target}`, async (signal) => {
    const preview = await pulls.preview(target, signal);
    setShown(preview);
    return preview;
  });
  // While another file is looked up, the last answer stays, so that the dialog does not jump.
  const preview = data ?? (error === null ? shown : null);

  if (!preview) {
    return (
      <Dialog title={t('models.acceptTitle', { model: first })} onClose={onClose}>
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
  const { licence, others = [] } = preview;
  // Nobody has named a licence: the reader may know it.
  const unnamed = !licence.spdx && licence.name === 'unknown';
  const said = unnamed ? named.trim() : '';
  const name = said || (unnamed ? t('models.licenceUnknown') : licence.name);
  const fileName = (address: string) => address.split(/[/#]/).pop() ?? address;
  return (
    <FormDialog
      title={t('models.acceptTitle', { model: preview.name || preview.id || target })}
      submit={t('models.acceptGo')}
      disabled={!accepted || !data || (!preview.id && id.trim() === '')}
      onClose={onClose}
      onSubmit={async () => {
        await startPull(target, true, preview.id ? undefined : id.trim(), said || undefined);
        onClose();
        // The downloads are listed at the page's top.
        document.getElementById('main')?.scrollTo({ top: 0 });
      }}
    >
      {others.length > 0 && (
        <Select
          label={t('models.variant')}
          value={target}
          onChange={setTarget}
          choices={[
            { value: target, label: preview.files.map((file) => file.path).join(', ') },
            ...others
              .filter((other) => other.target !== target)
              .map((other) => ({
                value: other.target,
                label: fileName(other.target) + (other.size ? ` · ${bytes(other.size, lang)}` : ''),
              })),
          ]}
        />
      )}
      <dl className="facts-grid">
        <dt>{t('models.source')}</dt>
        <dd className="mono">
          {isWeb(preview.page) ? (
            <a href={preview.page} target="_blank" rel="noopener noreferrer">
              {preview.source}
            </a>
          ) : (
            preview.source
          )}
          {preview.recognised && <p>{t('models.recognised', { entry: preview.recognised })}</p>}
        </dd>
        <dt>{t('models.size')}</dt>
        <dd>
          {preview.size_bytes ? `${bytes(preview.size_bytes, lang)} · ` : ''}
          {t('models.fileCount', { n: preview.files.length })}
          {preview.memory_bytes ? ` · ${t('models.needsOnly', { need: bytes(preview.memory_bytes, lang) })}` : ''}
        </dd>
        <dt>{t('models.licence')}</dt>
        <dd>
          <strong>{name}</strong>
          {licence.spdx && licence.spdx !== name ? ` (${licence.spdx})` : ''}
          {isWeb(licence.url) && (
            <>
              {' · '}
              <a href={licence.url} target="_blank" rel="noopener noreferrer">
                {t('models.readLicence')}
              </a>
            </>
          )}
          <p>{preview.licence_text[lang]}</p>
          {preview.conditions && <p>{preview.conditions[lang]}</p>}
        </dd>
      </dl>
      {preview.fits === false && (
        <div className="note warn">
          <Icon name="warn" />
          <div className="note-body">{t('models.willNotFit')}</div>
        </div>
      )}
      {!preview.id && (
        <Field
          label={t('models.nameIt')}
          hint={t('models.nameItHint')}
          value={id}
          onChange={(event) => setId(event.target.value)}
          autoCapitalize="off"
          autoComplete="off"
          spellCheck={false}
        />
      )}
      {unnamed && (
        <Field
          label={t('models.licenceIs')}
          hint={t('models.licenceIsHint')}
          value={named}
          onChange={(event) => setNamed(event.target.value)}
          maxLength={60}
          autoCapitalize="off"
          autoComplete="off"
          spellCheck={false}
        />
      )}
      <p className="hint">{t('models.acceptText')}</p>
      <label className="check">
        <input type="checkbox" checked={accepted} onChange={(event) => setAccepted(event.target.checked)} />
        <span>{t('models.acceptCheck', { licence: name })}</span>
      </label>
    </FormDialog>
  );
}
