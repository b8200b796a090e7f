import { useEffect, useState } from 'react';
import { useT } from '../i18n';
import { Icon } from './Icon';
import { toast } from './toasts';

/** Copies a text and says so. Plain http has no clipboard API: there a hidden field does it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement('textarea');
    field.value = text;
    field.className = 'visually-hidden';
    (document.querySelector('dialog[open]') ?? document.body).append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}

export function CopyButton({ text, label, withText = false }: { text: string; label: string; withText?: boolean }) {
  const t = useT();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1800);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    if (await copyText(text)) {
      setCopied(true);
      toast(t('app.copied'), 'quiet');
    } else toast(t('app.copyFailed'), 'error');
  };
  return (
    <button
      type="button"
      className={withText ? 'button plain' : 'icon-button'}
      aria-label={label}
      title={label}
      onClick={() => void copy()}
    >
      <Icon name={copied ? 'check' : 'copy'} size={16} />
      {withText && <span>{copied ? t('app.copied') : t('app.copy')}</span>}
    </button>
  );
}
