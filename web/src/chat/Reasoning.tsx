import { useT } from '../i18n';
import { Markdown } from '../markdown/Markdown';

/** The model's thinking, folded away. */
export function Reasoning({ text, streaming = false }: { text: string; streaming?: boolean }) {
  const t = useT();
  return (
    <details className="reasoning" open={streaming || undefined}>
      <summary>{t(streaming ? 'chat.thinking' : 'chat.thought')}</summary>
      <Markdown text={text} streaming={streaming} />
    </details>
  );
}
