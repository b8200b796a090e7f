// Every connection to elsewhere that the suite may make.

import { outbound } from '../api/endpoints';
import { useT } from '../i18n';
import { useResource } from '../lib/resource';
import { ErrorNote } from '../ui/errors';
import { Tag } from '../ui/parts';

export function OutboundList() {
  const t = useT();
  const list = useResource('outbound', (signal) => outbound.list(signal), 60_000);
  return (
    <section aria-labelledby="outbound">
      <h2 id="outbound">{t('outbound.title')}</h2>
      <p className="hint">{t('outbound.lead')}</p>
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      <div className="table-frame">
        <table className="table">
          <caption className="visually-hidden">{t('outbound.title')}</caption>
          <thead>
            <tr>
              <th scope="col">{t('outbound.what')}</th>
              <th scope="col">{t('outbound.where')}</th>
              <th scope="col">{t('outbound.state')}</th>
              <th scope="col">{t('outbound.why')}</th>
            </tr>
          </thead>
          <tbody>
            {(list.data?.data ?? []).map((one) => (
              <tr key={one.name}>
                <th scope="row" data-label={t('outbound.what')}>
                  {one.name} <small>{one.about}</small>
                </th>
                <td data-label={t('outbound.where')}>{one.targets.join(', ')}</td>
                <td data-label={t('outbound.state')}>
                  <Tag look={one.allowed ? 'warn' : 'good'}>{t(one.allowed ? 'outbound.open' : 'outbound.closed')}</Tag>
                </td>
                <td data-label={t('outbound.why')}>{one.why}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
