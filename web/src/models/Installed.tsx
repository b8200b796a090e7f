import { useEffect, useState } from 'react';
import { models } from '../api/endpoints';
import type { Manifest, ManifestPage, ModelKind, Origin } from '../api/types';
import { readSetup, writeSetup } from '../chat/drafts';
import { useLang, useT } from '../i18n';
import { bytes, number, parameters } from '../lib/format';
import { useDebounced, useResource } from '../lib/resource';
import { go } from '../lib/router';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote, toastError } from '../ui/errors';
import { Empty, Loading, SearchField, Select, Tag } from '../ui/parts';
import { toast } from '../ui/toasts';
import { ModelDetails } from './ModelDetails';
import { pullsEnded } from './pulls';
import { kindLabel, languageLabel, originLabel } from './words';

const PAGE = 50;

export const sizeOf = (model: Manifest) => model.files.reduce((sum, file) => sum + file.size, 0);

export function Installed({ admin }: { admin: boolean }) {
  const t = useT();
  const lang = useLang();
  const [query, setQuery] = useState('');
  const [kind, setKind] = useState<ModelKind | ''>('');
  const [origin, setOrigin] = useState<Origin | ''>('');
  const q = useDebounced(query.trim(), 200);
  const ended = useStore(pullsEnded);
  const [details, setDetails] = useState<Manifest | null>(null);
  const [removing, setRemoving] = useState<Manifest | null>(null);
  const [more, setMore] = useState<ManifestPage | null>(null);
  const list = useResource(`models ${q} ${kind} ${origin}`, (signal) =>
    models.list({ q, kind: kind || undefined, origin: origin || undefined, limit: PAGE }, signal),
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: a pull that ended is the event
  useEffect(() => {
    if (ended > 0) void list.reload();
  }, [ended]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the first page anew makes the later ones stale
  useEffect(() => setMore(null), [list.data]);

  const shown = list.data ? [...list.data.data, ...(more?.data ?? [])] : undefined;
  const next = more ? more.next : list.data?.next;
  const filtered = q !== '' || kind !== '' || origin !== '';
  const loadMore = async () => {
    try {
      const page = await models.list({
        q,
        kind: kind || undefined,
        origin: origin || undefined,
        limit: PAGE,
        after: next ?? undefined,
      });
      setMore((old) => ({ ...page, data: [...(old?.data ?? []), ...page.data] }));
    } catch (error) {
      toastError(t, error);
    }
  };
  const chatWith = (model: Manifest) => {
    writeSetup({ ...readSetup(), model: model.id });
    go({ page: 'chat', id: null });
  };

  return (
    <>
      <div className="filters">
        <SearchField label={t('models.search')} value={query} onChange={setQuery} />
        <Select
          label={t('models.filterKind')}
          value={kind}
          onChange={setKind}
          choices={[
            { value: '', label: t('models.all') },
            ...(['chat', 'embedding', 'image', 'lora', 'speech', 'other'] as const).map((value) => ({
              value,
              label: kindLabel(t, value),
            })),
          ]}
        />
        <Select
          label={t('models.filterOrigin')}
          value={origin}
          onChange={setOrigin}
          choices={[
            { value: '', label: t('models.all') },
            ...(['own', 'imported', 'trained'] as const).map((value) => ({ value, label: originLabel(t, value) })),
          ]}
        />
      </div>
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!shown && list.error === null && <Loading />}
      {shown && (
        <p className="count" role="status">
          {t('models.count', { n: list.data?.total ?? shown.length })}
        </p>
      )}
      {shown?.length === 0 && (
        <Empty icon="models" title={t(filtered ? 'models.none' : 'models.noneInstalled')}>
          {!filtered && (
            <>
              <p>{t('models.noneInstalledText')}</p>
              <a className="button primary" href="#/models">
                {t('models.openCatalog')}
              </a>
            </>
          )}
        </Empty>
      )}
      <ul className="cards">
        {shown?.map((model) => (
          <li className="card" key={model.id}>
            <header>
              <h2>{model.name || model.id}</h2>
              <Tag look="accent">{originLabel(t, model.origin)}</Tag>
            </header>
            {model.description?.[lang] && <p className="card-text">{model.description[lang]}</p>}
            <ul className="tags">
              <li>
                <Tag>{kindLabel(t, model.kind)}</Tag>
              </li>
              {model.quantisation && (
                <li>
                  <Tag>{model.quantisation}</Tag>
                </li>
              )}
              {model.languages?.slice(0, 8).map((language) => (
                <li key={language}>
                  <Tag>{languageLabel(t, language)}</Tag>
                </li>
              ))}
            </ul>
            <ul className="card-facts">
              {model.parameters ? <li>{t('models.parameters', { n: parameters(model.parameters) })}</li> : null}
              <li>{bytes(sizeOf(model), lang)}</li>
              {model.context_length ? (
                <li>
                  {t('models.context')}: {number(model.context_length, lang)}
                </li>
              ) : null}
              <li>
                {t('models.licence')}: {model.licence.name || model.licence.spdx}
              </li>
              <li className="mono" title={model.source}>
                {model.source}
              </li>
            </ul>
            <footer>
              {model.kind === 'chat' && model.chat_template && (
                <Button small look="primary" icon="chat" onClick={() => chatWith(model)}>
                  {t('models.chat')}
                </Button>
              )}
              <Button
                small
                icon="info"
                onClick={() => setDetails(model)}
                aria-label={`${t('models.details')}: ${model.name}`}
              >
                {t('models.details')}
              </Button>
              {admin && (
                <Button
                  small
                  look="quiet"
                  icon="trash"
                  onClick={() => setRemoving(model)}
                  aria-label={`${t('models.remove')}: ${model.name}`}
                >
                  {t('models.remove')}
                </Button>
              )}
            </footer>
          </li>
        ))}
      </ul>
      {next && (
        <Button className="more" onClick={() => void loadMore()}>
          {t('app.more')}
        </Button>
      )}
      {details && <ModelDetails model={details} admin={admin} onClose={() => setDetails(null)} />}
      {removing && (
        <FormDialog
          title={t('models.removeTitle', { model: removing.name })}
          submit={t('models.remove')}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await models.remove(removing.id);
            setRemoving(null);
            toast(t('models.removed', { model: removing.name }));
            await list.reload();
          }}
        >
          <p>{t('models.removeText', { size: bytes(sizeOf(removing), lang) })}</p>
        </FormDialog>
      )}
    </>
  );
}
