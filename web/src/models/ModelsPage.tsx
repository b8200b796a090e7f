import { useEffect, useState } from 'react';
import { session } from '../api/client';
import { useT } from '../i18n';
import { connection } from '../lib/connection';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { Page, TabLinks } from '../ui/parts';
import { Catalog } from './Catalog';
import { ImportDialog } from './ImportDialog';
import { Installed } from './Installed';
import { PullDialog } from './PullDialog';
import { PullList } from './PullList';
import { loadPulls } from './pulls';

export function ModelsPage({ tab }: { tab: 'catalog' | 'installed' }) {
  const t = useT();
  const admin = useStore(session)?.me.role === 'admin';
  const { epoch } = useStore(connection);
  const [importing, setImporting] = useState(false);
  const [target, setTarget] = useState<string | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a suite that came back is asked again
  useEffect(() => {
    const controller = new AbortController();
    // The list of downloads is an extra here; the page's own lists say it when the suite is gone.
    loadPulls(controller.signal).catch(() => undefined);
    return () => controller.abort();
  }, [epoch]);

  return (
    <Page
      title={t('models.title')}
      lead={t('models.lead')}
      actions={
        admin && (
          <Button icon="link" onClick={() => setImporting(true)}>
            {t('models.import')}
          </Button>
        )
      }
    >
      <PullList admin={admin} />
      <TabLinks
        label={t('models.title')}
        tabs={[
          { href: '#/models', label: t('models.catalog'), current: tab === 'catalog' },
          { href: '#/models/installed', label: t('models.installed'), current: tab === 'installed' },
        ]}
      />
      {tab === 'catalog' ? <Catalog admin={admin} onPull={setTarget} /> : <Installed admin={admin} />}
      {importing && (
        <ImportDialog
          onClose={() => setImporting(false)}
          onNext={(address) => {
            setImporting(false);
            setTarget(address);
          }}
        />
      )}
      {target !== null && <PullDialog target={target} onClose={() => setTarget(null)} />}
    </Page>
  );
}
