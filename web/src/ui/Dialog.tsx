// A modal dialog on the platform's own <dialog>: it holds the focus, closes with Escape, and gives the focus back.

import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { useT } from '../i18n';
import { Button, IconButton } from './Button';
import { ErrorNote } from './errors';

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
  /** A dialog that may only be left by its own buttons. */
  firm?: boolean;
}

export function Dialog({ title, onClose, children, wide = false, firm = false }: Props) {
  const t = useT();
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the keyboard's way, through onCancel
    <dialog
      ref={ref}
      className={`dialog${wide ? ' wide' : ''}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!firm) close.current();
      }}
      onClick={(event) => {
        if (event.target === ref.current && !firm) close.current();
      }}
    >
      <div className="dialog-card">
        <header>
          <h2 id={id}>{title}</h2>
          {!firm && <IconButton icon="close" label={t('app.close')} onClick={onClose} />}
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface FormDialogProps extends Props {
  submit: string;
  danger?: boolean;
  disabled?: boolean;
  /** Closes when it is done; an error stays in the dialog. */
  onSubmit: () => Promise<void>;
}

/** A dialog that does one thing, or says why it could not. */
export function FormDialog({ submit, danger = false, disabled = false, onSubmit, children, ...rest }: FormDialogProps) {
  const t = useT();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const go = async (event: FormEvent) => {
    event.preventDefault();
    if (busy || disabled) return;
    setBusy(true);
    setError(null);
    try {
      await onSubmit();
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return (
    <Dialog {...rest}>
      <form onSubmit={(event) => void go(event)}>
        <div className="dialog-body">
          {children}
          {error !== null && <ErrorNote error={error} />}
        </div>
        <footer>
          <Button onClick={rest.onClose} look="quiet">
            {t('app.cancel')}
          </Button>
          <Button type="submit" look={danger ? 'danger' : 'primary'} busy={busy} disabled={disabled}>
            {submit}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
