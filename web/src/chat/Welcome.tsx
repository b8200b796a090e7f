// The empty conversation: what can be done here, or what is missing before anything can.

import { session } from '../api/client';
import { type TextKey, useT } from '../i18n';
import { useStore } from '../lib/store';
import { ErrorNote } from '../ui/errors';
import { Icon, type IconName, Seal } from '../ui/Icon';
import { Empty } from '../ui/parts';
import type { ChatModels } from './useChatModels';

const TIPS: { title: TextKey; text: TextKey; icon: IconName }[] = [
  { title: 'chat.tip1', text: 'chat.tip1Text', icon: 'bulb' },
  { title: 'chat.tip2', text: 'chat.tip2Text', icon: 'table' },
  { title: 'chat.tip3', text: 'chat.tip3Text', icon: 'code' },
  { title: 'chat.tip4', text: 'chat.tip4Text', icon: 'mail' },
];

export function Welcome({ models, onPick }: { models: ChatModels; onPick: (text: string) => void }) {
  const t = useT();
  const admin = useStore(session)?.me.role === 'admin';
  if (models.error !== null && !models.loaded) {
    return (
      <div className="welcome">
        <ErrorNote error={models.error} onRetry={models.reload} />
      </div>
    );
  }
  if (models.loaded && models.list.length === 0) {
    return (
      <div className="welcome">
        <Empty icon="models" title={t('chat.noModelTitle')}>
          <p>{t(admin ? 'chat.noModelText' : 'chat.noModelMember')}</p>
          {admin && (
            <a className="button primary" href="#/models">
              {t('chat.pickModel')}
            </a>
          )}
        </Empty>
      </div>
    );
  }
  return (
    <div className="welcome">
      <Seal size={44} />
      <h2>{t('chat.emptyTitle')}</h2>
      <p>{t('chat.emptyText')}</p>
      <ul className="tips">
        {TIPS.map((tip) => (
          <li key={tip.title}>
            <button type="button" onClick={() => onPick(t(tip.text))}>
              <Icon name={tip.icon} />
              <span>{t(tip.title)}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
