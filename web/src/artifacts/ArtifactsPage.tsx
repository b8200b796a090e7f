import { useEffect, useRef, useState } from 'react';
import { json, send, session } from '../api/client';
import { useLang, useT } from '../i18n';
import { bytes, dateTime } from '../lib/format';
import { useDebounced, useResource } from '../lib/resource';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Empty, Loading, Page, SearchField, Select, Tag } from '../ui/parts';
import { toast } from '../ui/toasts';
import { ChainView } from './ChainView';
import type { Chain } from './layout';

const KINDS = ['image', 'video', 'audio', 'text', 'model', 'scene', 'object', 'report', 'other'] as const;
type Kind = (typeof KINDS)[number];
/** The largest file that is fetched to be shown. */
const PREVIEW_BYTES = 32 << 20;
const TEXT_BYTES = 64 << 10;

/** As `ArtifactView` of the OpenAPI document. */
interface Artifact {
  id: string;
  kind: Kind;
  name: string;
  media_type: string;
  origin: 'made' | 'uploaded';
  state: 'waiting' | 'ready' | 'failed';
  bytes: number | null;
  sha256: string | null;
  sidecar: boolean;
  created_at: number;
  fault: { en: string; zh: string } | null;
}
interface Graph {
  nodes: {
    id: string;
    kind: string;
    name: string;
    sha256: string | null;
    model: { origin?: string; licence?: { spdx?: string; name: string } } | null;
  }[];
  edges: { from: string; to: string; relation: string }[];
}

const LOOK = { waiting: 'warn', ready: 'good', failed: 'bad' } as const;

export function ArtifactsPage() {
  const t = useT();
  const signedIn = useStore(session);
  if (!signedIn?.me.rights.includes('artifacts')) {
    return (
      <Page title={t('artifacts.title')} lead={t('artifacts.lead')}>
        <Empty icon="picture" title={t('app.forbidden')}>
          <p>{t('app.forbiddenText')}</p>
        </Empty>
      </Page>
    );
  }
  return <Artifacts />;
}

function Artifacts() {
  const t = useT();
  const [text, setText] = useState('');
  const [kind, setKind] = useState<Kind | ''>('');
  const [pages, setPages] = useState<string[]>([]);
  const [failed, setFailed] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const query = { q: useDebounced(text, 300), kind, after: pages.at(-1), limit: 30 };
  const list = useResource(
    `artifacts ${JSON.stringify(query)}`,
    (signal) => json<{ data: Artifact[]; next?: string }>('GET', '/api/artifacts', { query, signal }),
    5000,
  );
  const found = list.data?.data;

  const upload = async (file: File | undefined) => {
    if (!file) return;
    setBusy(true);
    setFailed(null);
    const form = new FormData();
    form.append('file', file);
    try {
      await json('POST', '/api/artifacts', { form });
      toast(t('artifacts.uploaded', { name: file.name }));
      await list.reload();
    } catch (error) {
      setFailed(error);
    }
    setBusy(false);
  };

  return (
    <Page
      title={t('artifacts.title')}
      lead={t('artifacts.lead')}
      actions={
        <>
          <input
            ref={chooser}
            type="file"
            hidden
            onChange={(event) => {
              void upload(event.target.files?.[0]);
              event.target.value = '';
            }}
          />
          <Button icon="plus" busy={busy} onClick={() => chooser.current?.click()}>
            {t('artifacts.upload')}
          </Button>
        </>
      }
    >
      {failed !== null && <ErrorNote error={failed} />}
      <div className="toolbar">
        <SearchField
          label={t('artifacts.search')}
          value={text}
          onChange={(value) => {
            setPages([]);
            setText(value);
          }}
        />
        <Select
          label={t('artifacts.kind')}
          value={kind}
          choices={[
            { value: '' as const, label: t('artifacts.all') },
            ...KINDS.map((one) => ({ value: one, label: t(`artifacts.kinds.${one}`) })),
          ]}
          onChange={(value) => {
            setPages([]);
            setKind(value);
          }}
        />
      </div>
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!found && list.error === null && <Loading />}
      {found?.length === 0 && (
        <Empty icon="picture" title={t('artifacts.none')}>
          <p>{t('artifacts.noneText')}</p>
        </Empty>
      )}
      <ul className="rows">
        {found?.map((artifact) => (
          <Row key={artifact.id} artifact={artifact} onGone={() => void list.reload()} />
        ))}
      </ul>
      {list.data?.next && (
        <Button icon="right" onClick={() => setPages([...pages, list.data?.next ?? ''])}>
          {t('artifacts.more')}
        </Button>
      )}
    </Page>
  );
}

function Row({ artifact, onGone }: { artifact: Artifact; onGone: () => void }) {
  const t = useT();
  const lang = useLang();
  const [open, setOpen] = useState(false);
  const [asking, setAsking] = useState(false);
  const [failed, setFailed] = useState<unknown>(null);
  const ready = artifact.state === 'ready';
  const attempt = async (work: () => Promise<void>) => {
    setFailed(null);
    try {
      await work();
    } catch (error) {
      setFailed(error);
    }
  };
  const save = (part: 'content' | 'sidecar') =>
    attempt(async () => {
      const answer = await send('GET', `/api/artifacts/${artifact.id}/${part}`);
      const link = document.createElement('a');
      link.href = URL.createObjectURL(await answer.blob());
      link.download = part === 'content' ? artifact.name : `${artifact.name}.c2pa`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  return (
    <li className="row">
      <div className="row-main">
        <strong>{artifact.name}</strong>
        <Tag look={LOOK[artifact.state]}>{t(`artifacts.states.${artifact.state}`)}</Tag>
        <Tag>{t(`artifacts.kinds.${artifact.kind}`)}</Tag>
      </div>
      <p className="row-facts">
        <span>{t(`artifacts.origins.${artifact.origin}`)}</span>
        {artifact.bytes !== null && <span>{bytes(artifact.bytes, lang)}</span>}
        <span>{dateTime(artifact.created_at, lang)}</span>
      </p>
      {artifact.fault && <p className="field-error">{artifact.fault[lang]}</p>}
      {failed !== null && <ErrorNote error={failed} />}
      <div className="row-actions">
        <Button
          small
          icon="eye"
          aria-expanded={open}
          aria-label={t('artifacts.open', { name: artifact.name })}
          onClick={() => setOpen(!open)}
        >
          {t('artifacts.details')}
        </Button>
        {ready && (
          <Button small icon="download" onClick={() => void save('content')}>
            {t('artifacts.download')}
          </Button>
        )}
        {ready && artifact.sidecar && (
          <Button small icon="shield" onClick={() => void save('sidecar')}>
            {t('artifacts.sidecar')}
          </Button>
        )}
        <Button small icon="trash" onClick={() => setAsking(true)}>
          {t('artifacts.remove')}
        </Button>
      </div>
      {open && <Detail artifact={artifact} />}
      {asking && (
        <FormDialog
          title={t('artifacts.remove')}
          submit={t('artifacts.remove')}
          danger
          onClose={() => setAsking(false)}
          onSubmit={async () => {
            await send('DELETE', `/api/artifacts/${artifact.id}`);
            setAsking(false);
            onGone();
          }}
        >
          <p>{t('artifacts.removeAsk', { name: artifact.name })}</p>
        </FormDialog>
      )}
    </li>
  );
}

function Detail({ artifact }: { artifact: Artifact }) {
  const t = useT();
  const graph = useResource(`graph ${artifact.id}`, (signal) =>
    json<Graph>('GET', `/api/artifacts/${artifact.id}/graph`, { signal }),
  );
  const chain: Chain | undefined = graph.data && {
    nodes: graph.data.nodes.map(({ model, ...node }) => ({
      ...node,
      origin: model?.origin,
      licence: model?.licence?.spdx ?? model?.licence?.name,
    })),
    edges: graph.data.edges.map(({ relation, ...edge }) => ({ ...edge, kind: relation })),
  };
  return (
    <div className="artifact-detail">
      <Preview artifact={artifact} />
      <h3>{t('artifacts.lineage')}</h3>
      {graph.error !== null && <ErrorNote error={graph.error} />}
      {chain ? <ChainView chain={chain} /> : graph.error === null && <Loading />}
      {artifact.sha256 && (
        <p>
          SHA-256 <code>{artifact.sha256}</code>
        </p>
      )}
    </div>
  );
}

function Preview({ artifact }: { artifact: Artifact }) {
  const t = useT();
  const [shown, setShown] = useState<{ url?: string; text?: string } | null>(null);
  const [failed, setFailed] = useState<unknown>(null);
  const size = artifact.bytes ?? 0;
  const picture = /^image\/(png|jpeg|webp)$/.test(artifact.media_type);
  const text = artifact.kind === 'text' || artifact.media_type.startsWith('text/');
  const wanted = artifact.state === 'ready' && (text || (picture && size <= PREVIEW_BYTES));
  const { id, media_type: type } = artifact;
  useEffect(() => {
    if (!wanted) return;
    const controller = new AbortController();
    let url: string | undefined;
    void (async () => {
      try {
        const answer = await send('GET', `/api/artifacts/${id}/content`, { signal: controller.signal });
        if (text) {
          const blob = await answer.blob();
          setShown({ text: await blob.slice(0, TEXT_BYTES).text() });
        } else {
          url = URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type }));
          if (controller.signal.aborted) URL.revokeObjectURL(url);
          else setShown({ url });
        }
      } catch (error) {
        if (!controller.signal.aborted) setFailed(error);
      }
    })();
    return () => {
      controller.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [wanted, id, type, text]);
  if (failed !== null) return <ErrorNote error={failed} />;
  if (picture && size > PREVIEW_BYTES) return <p>{t('artifacts.tooLarge')}</p>;
  if (shown?.url)
    return <img className="preview" src={shown.url} alt={t('artifacts.preview', { name: artifact.name })} />;
  if (shown?.text !== undefined) return <pre className="preview">{shown.text}</pre>;
  return null;
}
