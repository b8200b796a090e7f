import { useState } from 'react';
import { models, replicas } from '../api/endpoints';
import { useT } from '../i18n';
import { useResource } from '../lib/resource';
import { Button } from '../ui/Button';
import { toastError } from '../ui/errors';
import { Select } from '../ui/parts';

const MOST = 200;

export function StartModel({ onStarted }: { onStarted: () => void }) {
  const t = useT();
  const list = useResource('startable', async (signal) => {
    const [chat, embedding] = await Promise.all([
      models.list({ kind: 'chat', limit: MOST }, signal),
      models.list({ kind: 'embedding', limit: MOST }, signal),
    ]);
    return [...chat.data, ...embedding.data];
  });
  const [chosen, setChosen] = useState('');
  const [on, setOn] = useState<'machine' | 'cluster'>('machine');
  const [busy, setBusy] = useState(false);
  const all = list.data ?? [];
  const model = chosen || all[0]?.id || '';
  if (all.length === 0) return null;
  const start = async () => {
    setBusy(true);
    try {
      await replicas.start(model, on);
      onStarted();
    } catch (error) {
      toastError(t, error);
    }
    setBusy(false);
  };
  return (
    <div className="start-model">
      <Select
        label={t('replicas.start')}
        value={model}
        onChange={setChosen}
        choices={all.map(({ id, name }) => ({ value: id, label: name || id }))}
      />
      <Select
        label={t('replicas.on')}
        value={on}
        onChange={(value) => setOn(value === 'cluster' ? 'cluster' : 'machine')}
        choices={[
          { value: 'machine', label: t('replicas.local') },
          { value: 'cluster', label: t('replicas.cluster') },
        ]}
      />
      <Button icon="play" busy={busy} onClick={() => void start()}>
        {t('replicas.startButton')}
      </Button>
    </div>
  );
}
