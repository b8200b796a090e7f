import { useEffect, useRef } from 'react';
import { useT } from '../i18n';
import { connection, probe } from '../lib/connection';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { Icon } from '../ui/Icon';
import { toast } from '../ui/toasts';

export function OfflineBanner() {
  const t = useT();
  const { online, epoch } = useStore(connection);
  const seen = useRef(epoch);
  useEffect(() => {
    if (epoch === seen.current) return;
    seen.current = epoch;
    toast(t('app.online'));
  }, [epoch, t]);
  return (
    <div role="status">
      {!online && (
        <div className="offline">
          <Icon name="warn" />
          <span>{t('app.offline')}</span>
          <Button small onClick={() => void probe()}>
            {t('app.offlineNow')}
          </Button>
        </div>
      )}
    </div>
  );
}
