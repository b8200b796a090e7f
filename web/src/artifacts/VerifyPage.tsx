import { type DragEvent, useState } from 'react';
import { json } from '../api/client';
import { useLang, useT } from '../i18n';
import { bytes, dateTime } from '../lib/format';
import { LanguageMenu, ThemeMenu } from '../shell/PrefMenus';
import { ErrorNote } from '../ui/errors';
import { Icon } from '../ui/Icon';
import { Loading, Page, Tag } from '../ui/parts';
import { ChainView } from './ChainView';
import type { Chain } from './layout';

/** As `Checked` of the OpenAPI document. */
interface Checked {
  verdict: 'valid' | 'changed' | 'unknown_signer' | 'revoked' | 'expired' | 'not_signed' | 'metadata_stripped';
  size: number;
  sha256: string;
  changes?: { part: string; text: { en: string; zh: string } }[];
  signer?: { name: string; own: boolean };
  stamped_at?: string;
  generator?: string;
  label?: { Label: string; ContentProducer: string };
  explanation: { en: string; zh: string };
  graph: {
    nodes: {
      id: string;
      kind: string;
      name: string;
      sha256?: string;
      origin?: string;
      licence?: { spdx?: string; name: string };
    }[];
    edges: { from: string; to: string; kind: string }[];
  };
  known?: { created_at: number; engine: { name: string; version: string }; models: { id: string }[] };
}

const LOOK: Record<Checked['verdict'], 'good' | 'warn' | 'bad' | 'plain'> = {
  valid: 'good',
  changed: 'bad',
  unknown_signer: 'warn',
  revoked: 'bad',
  expired: 'warn',
  not_signed: 'plain',
  metadata_stripped: 'warn',
};

export function VerifyPage() {
  const t = useT();
  const [name, setName] = useState('');
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const [sidecar, setSidecar] = useState<File | null>(null);
  const [found, setFound] = useState<Checked | null>(null);
  const [error, setError] = useState<unknown>(null);

  const check = async (file: File | undefined) => {
    if (!file || busy) return;
    setName(file.name);
    setBusy(true);
    setFound(null);
    setError(null);
    const form = new FormData();
    if (sidecar) form.append('sidecar', sidecar);
    form.append('file', file);
    try {
      setFound(await json<Checked>('POST', '/api/verify', { form }));
    } catch (caught) {
      setError(caught);
    }
    setBusy(false);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void check(event.dataTransfer.files[0]);
  };

  return (
    <Page title={t('verify.title')} lead={t('verify.lead')}>
      <label
        className={`drop${over ? ' over' : ''}`}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <Icon name="shield" size={28} />
        <span>{t('verify.drop')}</span>
        <input
          type="file"
          disabled={busy}
          onChange={(event) => {
            void check(event.target.files?.[0]);
            event.target.value = '';
          }}
        />
      </label>
      <div className="field">
        <label>
          {t('verify.sidecar')}{' '}
          <input type="file" accept=".c2pa" onChange={(event) => setSidecar(event.target.files?.[0] ?? null)} />
        </label>
      </div>
      <div aria-live="polite">
        {busy && (
          <>
            <p>{t('verify.busy', { name })}</p>
            <Loading />
          </>
        )}
        {error !== null && <ErrorNote error={error} />}
        {found && <Found name={name} found={found} />}
      </div>
    </Page>
  );
}

function Found({ name, found }: { name: string; found: Checked }) {
  const t = useT();
  const lang = useLang();
  const chain: Chain = {
    nodes: found.graph.nodes.map(({ licence, ...node }, at) => ({
      ...node,
      name: at === 0 ? name : node.name,
      licence: licence?.spdx ?? licence?.name,
    })),
    edges: found.graph.edges,
  };
  return (
    <section className="verified" aria-label={t('verify.title')}>
      <h2>
        <Tag look={LOOK[found.verdict]}>{t(`verify.verdicts.${found.verdict}`)}</Tag> {name}
      </h2>
      <p>{found.explanation[lang]}</p>
      {found.changes && found.changes.length > 0 && (
        <>
          <h3>{t('verify.changes')}</h3>
          <ul>
            {found.changes.map((change) => (
              <li key={change.part + change.text.en}>{change.text[lang]}</li>
            ))}
          </ul>
        </>
      )}
      <dl className="facts">
        {found.signer && (
          <>
            <dt>{t('verify.signer')}</dt>
            <dd>
              {found.signer.name}
              {found.signer.own && ` (${t('verify.own')})`}
            </dd>
          </>
        )}
        {found.stamped_at && (
          <>
            <dt>{t('verify.stamped')}</dt>
            <dd>{dateTime(found.stamped_at, lang)}</dd>
          </>
        )}
        {found.generator && (
          <>
            <dt>{t('verify.generator')}</dt>
            <dd>{found.generator}</dd>
          </>
        )}
        {found.label && (
          <>
            <dt>{t('verify.label')}</dt>
            <dd>{t('verify.labelText', { producer: found.label.ContentProducer })}</dd>
          </>
        )}
        {found.known && (
          <>
            <dt>{t('verify.known')}</dt>
            <dd>
              {t('verify.knownText', {
                at: dateTime(found.known.created_at, lang),
                engine: `${found.known.engine.name} ${found.known.engine.version}`,
                models: found.known.models.map((model) => model.id).join(', ') || '–',
              })}
            </dd>
          </>
        )}
        <dt>{t('verify.hash')}</dt>
        <dd>
          <code>{found.sha256}</code> ({bytes(found.size, lang)})
        </dd>
      </dl>
      {chain.edges.length > 0 && (
        <>
          <h3>{t('verify.chain')}</h3>
          <ChainView chain={chain} />
        </>
      )}
    </section>
  );
}

/** The page for those who have no account. */
export function PublicVerify() {
  const t = useT();
  return (
    <div className="public">
      <header className="signin-bar">
        <a href="#/chat">{t('verify.signIn')}</a>
        <LanguageMenu />
        <ThemeMenu />
      </header>
      <main>
        <VerifyPage />
      </main>
    </div>
  );
}
