import { useT } from '../i18n';
import { useStore } from '../lib/store';
import { IconButton } from './Button';
import { Icon } from './Icon';
import { dismiss, toasts } from './toasts';

export function Toasts() {
  const t = useT();
  const messages = useStore(toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {messages.map(({ id, text, look }) => (
        <div key={id} className={look === 'quiet' ? 'visually-hidden' : `toast ${look}`}>
          {look !== 'quiet' && <Icon name={look === 'good' ? 'check' : 'warn'} />}
          <span>{text}</span>
          {look !== 'quiet' && <IconButton icon="close" label={t('app.close')} size={16} onClick={() => dismiss(id)} />}
        </div>
      ))}
    </div>
  );
}
