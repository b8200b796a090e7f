// A block of code: its language, a button that copies it, and colours once it is whole.

import { memo, type ReactNode, useEffect, useState } from 'react';
import { useT } from '../i18n';
import { CopyButton } from '../ui/CopyButton';
import { highlight } from './highlight';

interface Props {
  code: string;
  lang: string;
  /** Whether its last line has come; until then colours would flicker. */
  closed: boolean;
}

export const CodeBlock = memo(function CodeBlock({ code, lang, closed }: Props) {
  const t = useT();
  const [coloured, setColoured] = useState<{ code: string; nodes: ReactNode } | null>(null);
  useEffect(() => {
    if (!closed) return;
    let gone = false;
    highlight(code, lang)
      .then((nodes) => !gone && nodes && setColoured({ code, nodes }))
      // Without colours the code can still be read.
      .catch(() => undefined);
    return () => {
      gone = true;
    };
  }, [code, lang, closed]);
  return (
    <figure className="code">
      <figcaption>
        <span>{lang || t('code.plain')}</span>
        <CopyButton text={code} label={t('code.copy')} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a long line scrolls, and the keyboard must reach it */}
      <pre tabIndex={0}>
        <code>{coloured?.code === code ? coloured.nodes : code}</code>
      </pre>
    </figure>
  );
});
