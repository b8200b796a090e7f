// Errors as people see them: the suite's own words, the request id to ask about, and what to do.

import type { ReactNode } from 'react';
import { ApiError, Unreachable } from '../api/client';
import { CutShort } from '../chat/completion';
import { type Translate, useT } from '../i18n';
import { Button } from './Button';
import { Icon } from './Icon';
import { toast } from './toasts';

export function errorText(t: Translate, error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof Unreachable) return t('app.unreachable');
  if (error instanceof CutShort) return t('app.cut');
  return t('app.unknownError', { message: error instanceof Error ? error.message : String(error) });
}

export function toastError(t: Translate, error: unknown): void {
  const id = error instanceof ApiError && error.requestId ? ` (${t('app.requestId')} ${error.requestId})` : '';
  toast(errorText(t, error) + id, 'error');
}

interface Props {
  error: unknown;
  title?: string;
  onRetry?: () => void;
  retryLabel?: string;
  children?: ReactNode;
}

export function ErrorNote({ error, title, onRetry, retryLabel, children }: Props) {
  const t = useT();
  const requestId = error instanceof ApiError ? error.requestId : null;
  return (
    <div className="note error" role="alert">
      <Icon name="warn" />
      <div className="note-body">
        {title && <strong>{title}</strong>}
        <p>{errorText(t, error)}</p>
        {requestId && (
          <p className="note-id">
            {t('app.requestId')} <code>{requestId}</code>
          </p>
        )}
        {children}
      </div>
      {onRetry && (
        <Button small icon="refresh" onClick={onRetry}>
          {retryLabel ?? t('app.retry')}
        </Button>
      )}
    </div>
  );
}
