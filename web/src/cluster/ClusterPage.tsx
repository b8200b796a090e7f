import { json, session } from '../api/client';
import { useLang, useT } from '../i18n';
import { bytes } from '../lib/format';
import { useResource } from '../lib/resource';
import { useStore } from '../lib/store';
import { ErrorNote } from '../ui/errors';
import { Empty, Loading, Page, Tag } from '../ui/parts';

/** As `ClusterView` of the OpenAPI document. */
interface Node {
  name: string;
  state: string;
  flags: string[];
  usable: boolean;
  reason?: string;
  cores: number;
  cores_used: number;
  memory_bytes: number;
  memory_used_bytes: number;
  accelerators: { family: string; model?: string; total: number; used: number }[];
  partitions: string[];
}
interface Job {
  slurm_job: number;
  job: string;
  state: string;
  reason?: string;
  node: string;
  account: string;
  restarts: number;
}
interface View {
  executor: string;
  machine: {
    name: string;
    cores: number;
    cores_used: number;
    memory_bytes: number;
    memory_used_bytes: number;
    jobs: number;
  };
  cluster?: { url: string; trouble?: string; nodes: Node[]; jobs: Job[] };
}

const EVERY_MS = 5000;

export function ClusterPage() {
  const t = useT();
  const signedIn = useStore(session);
  if (!signedIn?.me.rights.includes('cluster')) {
    return (
      <Page title={t('cluster.title')} lead={t('cluster.lead')}>
        <Empty icon="screen" title={t('app.forbidden')}>
          <p>{t('app.forbiddenText')}</p>
        </Empty>
      </Page>
    );
  }
  return <Now />;
}

function Now() {
  const t = useT();
  const lang = useLang();
  const view = useResource('cluster', (signal) => json<View>('GET', '/api/cluster', { signal }), EVERY_MS);
  const machine = view.data?.machine;
  const cluster = view.data?.cluster;
  return (
    <Page title={t('cluster.title')} lead={t('cluster.lead')}>
      {view.error !== null && <ErrorNote error={view.error} onRetry={() => void view.reload()} />}
      {!view.data && view.error === null && <Loading />}
      {machine && (
        <section aria-labelledby="machine">
          <h2 id="machine">{t('cluster.machine')}</h2>
          <ul className="rows">
            <li className="row">
              <div className="row-main">
                <strong>{machine.name}</strong>
              </div>
              <p className="row-facts">
                <span>
                  {t('cluster.cores')} {machine.cores_used} / {machine.cores}
                </span>
                <span>
                  {t('cluster.memory')} {bytes(machine.memory_used_bytes, lang)} / {bytes(machine.memory_bytes, lang)}
                </span>
                <span>{t('cluster.running', { n: machine.jobs })}</span>
              </p>
            </li>
          </ul>
        </section>
      )}
      {view.data && !cluster && <p className="quiet-line">{t('cluster.none')}</p>}
      {cluster?.trouble && (
        <p className="field-error" role="alert">
          {t('cluster.trouble')}: {cluster.trouble}
        </p>
      )}
      {cluster && <Nodes nodes={cluster.nodes} />}
      {cluster && <Jobs jobs={cluster.jobs} />}
    </Page>
  );
}

function Nodes({ nodes }: { nodes: Node[] }) {
  const t = useT();
  const lang = useLang();
  return (
    <section aria-labelledby="nodes">
      <h2 id="nodes">{t('cluster.nodes')}</h2>
      <div className="table-frame">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">{t('cluster.node')}</th>
              <th scope="col">{t('cluster.state')}</th>
              <th scope="col">{t('cluster.cores')}</th>
              <th scope="col">{t('cluster.memory')}</th>
              <th scope="col">{t('cluster.accelerators')}</th>
              <th scope="col">{t('cluster.partitions')}</th>
            </tr>
          </thead>
          <tbody>
            {nodes.map((node) => (
              <tr key={node.name}>
                <td>{node.name}</td>
                <td>
                  <Tag look={node.usable ? 'good' : 'bad'}>{[node.state, ...node.flags].join(' ')}</Tag>
                  {node.reason && <span className="quiet-line"> {node.reason}</span>}
                </td>
                <td>
                  {node.cores_used} / {node.cores}
                </td>
                <td>
                  {bytes(node.memory_used_bytes, lang)} / {bytes(node.memory_bytes, lang)}
                </td>
                <td>
                  {node.accelerators
                    .map((one) => `${one.family}${one.model ? `:${one.model}` : ''} ${one.used}/${one.total}`)
                    .join(', ')}
                </td>
                <td>{node.partitions.join(', ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Jobs({ jobs }: { jobs: Job[] }) {
  const t = useT();
  return (
    <section aria-labelledby="cluster-jobs">
      <h2 id="cluster-jobs">{t('cluster.jobs')}</h2>
      {jobs.length === 0 ? (
        <p className="quiet-line">{t('cluster.noJobs')}</p>
      ) : (
        <div className="table-frame">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">{t('cluster.slurmJob')}</th>
                <th scope="col">{t('cluster.job')}</th>
                <th scope="col">{t('cluster.state')}</th>
                <th scope="col">{t('cluster.node')}</th>
                <th scope="col">{t('cluster.account')}</th>
                <th scope="col">{t('cluster.restarts')}</th>
              </tr>
            </thead>
            <tbody>
              {jobs.map((job) => (
                <tr key={job.slurm_job}>
                  <td>{job.slurm_job}</td>
                  <td className="mono">{job.job}</td>
                  <td>{job.reason ? `${job.state} (${job.reason})` : job.state}</td>
                  <td>{job.node}</td>
                  <td>{job.account}</td>
                  <td>{job.restarts}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
