import { jobs } from '../api/endpoints';
import { useT } from '../i18n';
import { useResource } from '../lib/resource';
import { ErrorNote } from '../ui/errors';
import { Loading } from '../ui/parts';

/** The last lines that a job has logged. */
export function JobLog({ id, live }: { id: string; live: boolean }) {
  const t = useT();
  const log = useResource(`log ${id}`, (signal) => jobs.log(id, signal), live ? 1500 : undefined);
  if (log.error !== null) return <ErrorNote error={log.error} onRetry={() => void log.reload()} />;
  if (log.data === undefined) return <Loading />;
  // Long logs scroll: the region has to be reachable by keyboard.
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <pre className="job-log" tabIndex={0} role="group" aria-label={t('jobs.log')}>
      {log.data === '' ? t('jobs.noLog') : log.data}
    </pre>
  );
}
