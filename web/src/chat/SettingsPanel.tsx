// System prompt and parameters. Changes are taken when a field is left, so that typing does not write to the store.

import { useEffect, useId, useRef, useState } from 'react';
import { useT } from '../i18n';
import { Button, IconButton } from '../ui/Button';
import { FIELDS, type ParamField, type Params, readNumber } from './params';

interface Props {
  system: string;
  params: Params;
  onChange: (change: { system?: string; params?: Params }) => void;
  onClose: () => void;
}

export function SettingsPanel({ system, params, onChange, onClose }: Props) {
  const t = useT();
  const id = useId();
  const panel = useRef<HTMLElement>(null);
  const [prompt, setPrompt] = useState(system);
  const [stops, setStops] = useState((params.stop ?? []).join('\n'));
  const [resets, setResets] = useState(0);

  useEffect(() => {
    const before = document.activeElement;
    panel.current?.querySelector<HTMLElement>('textarea')?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);

  const setField = (field: ParamField, value: number | undefined) => {
    const next = { ...params };
    if (value === undefined) delete next[field.name];
    else next[field.name] = value;
    onChange({ params: next });
  };

  const setStop = () => {
    const list = stops.split('\n').filter((line) => line !== '');
    const next = { ...params };
    if (list.length > 0) next.stop = list.slice(0, 16);
    else delete next.stop;
    if (JSON.stringify(next.stop) !== JSON.stringify(params.stop)) onChange({ params: next });
  };

  return (
    <aside
      ref={panel}
      className="settings"
      aria-labelledby={`${id}-title`}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      <header>
        <h2 id={`${id}-title`}>{t('chat.settings')}</h2>
        <IconButton icon="close" label={t('app.close')} onClick={onClose} />
      </header>
      <div className="settings-body">
        <div className="field">
          <label htmlFor={`${id}-system`}>{t('chat.system')}</label>
          <textarea
            id={`${id}-system`}
            rows={6}
            value={prompt}
            placeholder={t('chat.systemPlaceholder')}
            aria-describedby={`${id}-system-hint`}
            onChange={(event) => setPrompt(event.target.value)}
            onBlur={() => prompt !== system && onChange({ system: prompt })}
          />
          <p className="hint" id={`${id}-system-hint`}>
            {t('chat.systemHint')}
          </p>
        </div>
        <div className="settings-section">
          <h3>{t('chat.params')}</h3>
          <Button
            small
            look="quiet"
            disabled={Object.keys(params).length === 0}
            onClick={() => {
              setStops('');
              setResets((count) => count + 1);
              onChange({ params: {} });
            }}
          >
            {t('chat.reset')}
          </Button>
        </div>
        <p className="hint">{t('chat.paramsHint')}</p>
        {FIELDS.map((field) => (
          <NumberField
            key={`${field.name} ${resets}`}
            field={field}
            value={params[field.name]}
            onChange={(value) => setField(field, value)}
          />
        ))}
        <div className="field">
          <label htmlFor={`${id}-stop`}>{t('chat.stopWords')}</label>
          <textarea
            id={`${id}-stop`}
            rows={2}
            value={stops}
            aria-describedby={`${id}-stop-hint`}
            onChange={(event) => setStops(event.target.value)}
            onBlur={setStop}
          />
          <p className="hint" id={`${id}-stop-hint`}>
            {t('chat.stopWordsHint')}
          </p>
        </div>
      </div>
    </aside>
  );
}

interface NumberProps {
  field: ParamField;
  value: number | undefined;
  onChange: (value: number | undefined) => void;
}

function NumberField({ field, value, onChange }: NumberProps) {
  const t = useT();
  const id = useId();
  const [text, setText] = useState(value?.toString() ?? '');
  const commit = (raw: string) => {
    const next = readNumber(raw, field);
    setText(next?.toString() ?? '');
    if (next !== value) onChange(next);
  };
  return (
    <div className="field number-field">
      <label htmlFor={id}>{t(`param.${field.name}`)}</label>
      {field.slider && (
        <input
          type="range"
          min={field.min}
          max={field.max}
          step={field.step}
          value={text === '' ? (field.usual ?? field.min) : text}
          className={text === '' ? 'unset' : ''}
          aria-label={t(`param.${field.name}`)}
          onChange={(event) => setText(event.target.value)}
          onPointerUp={(event) => commit(event.currentTarget.value)}
          onKeyUp={(event) => commit(event.currentTarget.value)}
          onBlur={() => text !== (value?.toString() ?? '') && commit(text)}
        />
      )}
      <input
        id={id}
        type="number"
        inputMode="decimal"
        min={field.min}
        max={field.max}
        step={field.step}
        value={text}
        placeholder={field.usual === null ? '–' : String(field.usual)}
        aria-describedby={`${id}-hint`}
        onChange={(event) => setText(event.target.value)}
        onBlur={(event) => commit(event.target.value)}
        onKeyDown={(event) => event.key === 'Enter' && commit(event.currentTarget.value)}
      />
      <p className="hint" id={`${id}-hint`}>
        {t(`param.${field.name}Hint`)}
      </p>
    </div>
  );
}
