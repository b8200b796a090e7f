import { useEffect, useMemo, useState } from 'react';
import { catalog, replicas } from '../api/endpoints';
import type { CatalogItem, ModelKind } from '../api/types';
import { type TextKey, useLang, useT } from '../i18n';
import { bytes, parameters } from '../lib/format';
import { useDebounced, useResource } from '../lib/resource';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { ErrorNote } from '../ui/errors';
import { Empty, Loading, SearchField, Select, Tag } from '../ui/parts';
import { isRunning, pulls, pullsEnded } from './pulls';
import { kindLabel, languageLabel } from './words';

const TIERS = ['laptop', 'workstation', 'server'];

export function Catalog({ admin, onPull }: { admin: boolean; onPull: (target: string) => void }) {
  const t = useT();
  const [query, setQuery] = useState('');
  const [kind, setKind] = useState<ModelKind | ''>('');
  const [tier, setTier] = useState('');
  const [language, setLanguage] = useState('');
  const [fits, setFits] = useState(false);
  const q = useDebounced(query.trim(), 200);
  const ended = useStore(pullsEnded);
  const running = useStore(pulls).filter(isRunning);
  const list = useResource(`catalog ${q} ${kind} ${fits}`, (signal) =>
    catalog.list({ q, kind: kind || undefined, fits: fits || undefined }, signal),
  );
  const memory = useResource('catalog memory', (signal) => replicas.list(signal));

  // biome-ignore lint/correctness/useExhaustiveDependencies: a pull that ended is the event
  useEffect(() => {
    if (ended > 0) void list.reload();
  }, [ended]);

  const all = list.data?.data;
  const languages = useMemo(() => [...new Set((all ?? []).flatMap((item) => item.languages))].sort(), [all]);
  const shown = all?.filter(
    (item) => (tier === '' || item.tier === tier) && (language === '' || item.languages.includes(language)),
  );
  const free = memory.data?.memory.free_bytes;

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
            ...(['chat', 'embedding', 'speech', 'image'] as const).map((value) => ({
              value,
              label: kindLabel(t, value),
            })),
          ]}
        />
        <Select
          label={t('models.filterTier')}
          value={tier}
          onChange={setTier}
          choices={[
            { value: '', label: t('models.all') },
            ...TIERS.map((value) => ({ value, label: t(`models.tier.${value}` as TextKey) })),
          ]}
        />
        <Select
          label={t('models.filterLanguage')}
          value={language}
          onChange={setLanguage}
          choices={[
            { value: '', label: t('models.all') },
            ...languages.map((value) => ({ value, label: languageLabel(t, value) })),
          ]}
        />
        <label className="check inline">
          <input type="checkbox" checked={fits} onChange={(event) => setFits(event.target.checked)} />
          <span>{t('models.fitsOnly')}</span>
        </label>
      </div>
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!shown && list.error === null && <Loading />}
      {shown && (
        <>
          <p className="count" role="status">
            {t('models.count', { n: shown.length })}
          </p>
          {shown.length === 0 && (
            <Empty icon="search" title={t('models.none')}>
              {null}
            </Empty>
          )}
          <ul className="cards">
            {shown.map((item) => (
              <Card
                key={item.id}
                item={item}
                free={free}
                pulling={running.some((pull) => pull.target === item.id || pull.model_id === item.id)}
                onPull={admin ? () => onPull(item.id) : undefined}
              />
            ))}
          </ul>
        </>
      )}
    </>
  );
}

interface CardProps {
  item: CatalogItem;
  free: number | undefined;
  pulling: boolean;
  onPull: (() => void) | undefined;
}

function Card({ item, free, pulling, onPull }: CardProps) {
  const t = useT();
  const lang = useLang();
  const tierKey = TIERS.includes(item.tier) ? (`models.tier.${item.tier}` as TextKey) : null;
  return (
    <li className="card">
      <header>
        <h2>{item.name}</h2>
        {item.installed ? (
          <Tag look="good">{t('models.isInstalled')}</Tag>
        ) : item.fits === true ? (
          <Tag look="good">{t('models.fits')}</Tag>
        ) : item.fits === false ? (
          <Tag look="warn">{t('models.tooBig')}</Tag>
        ) : (
          <Tag>{t('models.fitUnknown')}</Tag>
        )}
      </header>
      <p className="card-text">{item.description[lang]}</p>
      <ul className="tags">
        <li>
          <Tag>{kindLabel(t, item.kind)}</Tag>
        </li>
        {tierKey && (
          <li>
            <Tag>{t(tierKey)}</Tag>
          </li>
        )}
        {item.languages.slice(0, 8).map((language) => (
          <li key={language}>
            <Tag>{languageLabel(t, language)}</Tag>
          </li>
        ))}
      </ul>
      <ul className="card-facts">
        {item.parameters ? <li>{t('models.parameters', { n: parameters(item.parameters) })}</li> : null}
        {item.size_bytes ? <li>{bytes(item.size_bytes, lang)}</li> : null}
        {item.memory_bytes ? (
          <li>
            {free !== undefined
              ? t('models.needs', { need: bytes(item.memory_bytes, lang), free: bytes(free, lang) })
              : t('models.needsOnly', { need: bytes(item.memory_bytes, lang) })}
          </li>
        ) : null}
        <li>
          {t('models.licence')}: {item.licence.name || item.licence.spdx}
        </li>
        <li className="mono" title={item.source}>
          {item.source}
        </li>
      </ul>
      {onPull && !item.installed && (
        <footer>
          <Button
            small
            look={item.fits === false ? 'plain' : 'primary'}
            icon="download"
            busy={pulling}
            onClick={onPull}
            aria-label={`${t('models.pull')} ${item.name}`}
          >
            {t(pulling ? 'models.pulling' : 'models.pull')}
          </Button>
        </footer>
      )}
    </li>
  );
}
