import { useEffect, useRef } from 'react';
import type { Pull } from '../api/types';
import { type TextKey, useLang, useT } from '../i18n';
import { bytes } from '../lib/format';
import { useStore } from '../lib/store';
import { Button, IconButton } from '../ui/Button';
import { toastError } from '../ui/errors';
import { Icon } from '../ui/Icon';
import { Progress } from '../ui/parts';
import { toast } from '../ui/toasts';
import { cancelPull, type FollowedPull, hidePull, isRunning, pulls, startPull } from './pulls';

const STAGES = new Set(['resolve', 'wait', 'copy', 'download', 'verify', 'install']);

function stageKey(pull: Pull): TextKey {
  if (pull.state !== 'running') return `models.stage.${pull.state}` as TextKey;
  return `models.stage.${STAGES.has(pull.stage ?? '') ? pull.stage : 'download'}` as TextKey;
}

/** Downloads that run or have ended since the page was opened. */
export function PullList({ admin }: { admin: boolean }) {
  const t = useT();
  const all = useStore(pulls);
  const seen = useRef(new Map(all.map((pull) => [pull.id, pull.state])));
  useEffect(() => {
    for (const pull of all) {
      const before = seen.current.get(pull.id);
      seen.current.set(pull.id, pull.state);
      if (before === undefined || before === pull.state) continue;
      const model = pull.model_id ?? pull.target;
      if (pull.state === 'done') toast(t('models.pullDone', { model }));
      if (pull.state === 'failed') toast(t('models.pullFailed', { model }), 'error');
    }
  }, [all, t]);
  if (all.length === 0) return null;
  return (
    <section className="pulls" aria-label={t('models.pulls')}>
      <h2>{t('models.pulls')}</h2>
      <ul>
        {all.map((pull) => (
          <PullRow key={pull.id} pull={pull} admin={admin} />
        ))}
      </ul>
    </section>
  );
}

function PullRow({ pull, admin }: { pull: FollowedPull; admin: boolean }) {
  const t = useT();
  const lang = useLang();
  const model = pull.model_id ?? pull.target;
  const running = isRunning(pull);
  const inBytes = pull.unit === 'bytes' || !pull.unit;
  const count = (value: number) => (inBytes ? bytes(value, lang) : String(value));
  const left =
    running && pull.rate && pull.rate > 0 && pull.total ? Math.max(0, (pull.total - pull.done) / pull.rate) : null;
  const guarded = (action: Promise<unknown>) => void action.catch((error: unknown) => toastError(t, error));
  return (
    <li className={`pull ${pull.state}`}>
      <div className="pull-head">
        <strong>{model}</strong>
        <span className="pull-stage">
          {pull.state === 'done' && <Icon name="check" size={16} />}
          {pull.state === 'failed' && <Icon name="warn" size={16} />}
          {t(stageKey(pull))}
        </span>
        {running && admin && (
          <IconButton
            icon="close"
            label={t('models.cancelPull', { model })}
            onClick={() => guarded(cancelPull(pull.id))}
          />
        )}
        {!running && (
          <>
            {(pull.state === 'failed' || pull.state === 'cancelled') && admin && (
              <Button
                small
                icon="refresh"
                onClick={() =>
                  guarded(
                    startPull(pull.target, true, pull.model_id ?? undefined, pull.licence ?? undefined).then(() =>
                      hidePull(pull.id),
                    ),
                  )
                }
              >
                {t('models.resume')}
              </Button>
            )}
            <IconButton icon="close" label={t('models.hide')} onClick={() => hidePull(pull.id)} />
          </>
        )}
      </div>
      {running && (
        <>
          <Progress label={`${model}: ${t(stageKey(pull))}`} done={pull.done} total={pull.total} />
          <p className="pull-facts">
            {pull.item && <span className="pull-item">{pull.item}</span>}
            <span>
              {count(pull.done)}
              {pull.total ? ` / ${count(pull.total)}` : ''}
            </span>
            {inBytes && pull.rate !== null && pull.rate > 0 && (
              <span>{t('models.rate', { rate: bytes(pull.rate, lang) })}</span>
            )}
            {left !== null && <span>{t('models.left', { time: clock(left) })}</span>}
          </p>
        </>
      )}
      {pull.error && <p className="field-error">{pull.error.message}</p>}
    </li>
  );
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes >= 60)
    return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${String(whole % 60).padStart(2, '0')}`;
  return `${minutes}:${String(whole % 60).padStart(2, '0')}`;
}
