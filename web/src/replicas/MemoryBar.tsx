import type { Memory } from '../api/types';
import { useLang, useT } from '../i18n';
import { bytes } from '../lib/format';

/** The machine's memory: what models take, what others take, what is free, and how far models may go. */
export function MemoryBar({ memory }: { memory: Memory }) {
  const t = useT();
  const lang = useLang();
  const { total_bytes: total, used_bytes: used, free_bytes: free, limit_bytes: limit } = memory;
  const other = Math.max(0, total - used - free);
  const share = (value: number) => `${total > 0 ? Math.min(100, (value / total) * 100) : 0}%`;
  const texts = {
    used: t('replicas.used', { size: bytes(used, lang) }),
    other: t('replicas.other', { size: bytes(other, lang) }),
    free: t('replicas.free', { size: bytes(free, lang) }),
    limit: t('replicas.limit', { size: bytes(limit, lang) }),
  };
  return (
    <section className="memory" aria-labelledby="memory">
      <div className="section-head">
        <h2 id="memory">{t('replicas.memory')}</h2>
        <span>{t('replicas.total', { size: bytes(total, lang) })}</span>
      </div>
      <div
        className="memory-bar"
        role="img"
        aria-label={`${t('replicas.memory')}: ${texts.used}, ${texts.other}, ${texts.free}, ${texts.limit}`}
      >
        <span className="used" style={{ width: share(used) }} />
        <span className="other" style={{ width: share(other) }} />
        {limit > 0 && limit < total && <i style={{ left: share(limit) }} />}
      </div>
      <ul className="legend" aria-hidden="true">
        <li className="used">{texts.used}</li>
        <li className="other">{texts.other}</li>
        <li className="free">{texts.free}</li>
        <li className="limit">{texts.limit}</li>
      </ul>
    </section>
  );
}
