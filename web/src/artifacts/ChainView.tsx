// A chain as a drawing, and the same as a list: what a screen reader reads, and what fits a phone.

import { useId } from 'react';
import { type TextKey, useT } from '../i18n';
import { BOX, type Chain, type ChainNode, place, short } from './layout';

export function ChainView({ chain }: { chain: Chain }) {
  const t = useT();
  const arrow = useId();
  if (chain.edges.length === 0) return <p>{t('graph.none')}</p>;
  const { nodes, width, height } = place(chain);
  const at = new Map(nodes.map((node) => [node.id, node]));
  const more = (node: ChainNode) =>
    [node.origin && t(`graph.origins.${node.origin}` as TextKey), node.licence, node.sha256?.slice(0, 12)]
      .filter(Boolean)
      .join(' · ');
  const kind = (node: ChainNode) => t(`graph.kinds.${node.kind}` as TextKey);
  return (
    <div className="chain">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <section className="chain-frame" aria-label={t('graph.scroll')} tabIndex={0}>
        <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
          <defs>
            <marker id={arrow} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
              <path d="M0 0L8 4L0 8z" className="chain-head" />
            </marker>
          </defs>
          {chain.edges.map((edge) => {
            const from = at.get(edge.from);
            const to = at.get(edge.to);
            if (!from || !to) return null;
            const down = to.y >= from.y;
            const start = [from.x + BOX.width / 2, from.y + (down ? BOX.height : 0)] as const;
            const end = [to.x + BOX.width / 2, to.y + (down ? 0 : BOX.height)] as const;
            return (
              <g key={`${edge.from} ${edge.to} ${edge.kind}`}>
                <path
                  d={`M${start[0]} ${start[1]}L${end[0]} ${end[1]}`}
                  className="chain-edge"
                  markerEnd={`url(#${arrow})`}
                />
                <text x={(start[0] + end[0]) / 2 + 6} y={(start[1] + end[1]) / 2} className="chain-word">
                  {t(`graph.edges.${edge.kind}` as TextKey)}
                </text>
              </g>
            );
          })}
          {nodes.map((node) => (
            <g key={node.id} transform={`translate(${node.x} ${node.y})`} className={`chain-node ${node.kind}`}>
              <title>{node.name}</title>
              <rect width={BOX.width} height={BOX.height} rx="10" />
              <text x="12" y="20" className="chain-kind">
                {kind(node)}
              </text>
              <text x="12" y="38">
                {short(node.name)}
              </text>
              <text x="12" y="56" className="chain-more">
                {short(more(node), 30)}
              </text>
            </g>
          ))}
        </svg>
      </section>
      <details>
        <summary>{t('graph.list')}</summary>
        <ul>
          {chain.edges.map((edge) => {
            const from = at.get(edge.from);
            const to = at.get(edge.to);
            if (!from || !to) return null;
            const facts = more(to);
            return (
              <li key={`${edge.from} ${edge.to} ${edge.kind}`}>
                {from.name} — {t(`graph.edges.${edge.kind}` as TextKey)} — {kind(to)} {to.name}
                {facts && ` (${facts})`}
              </li>
            );
          })}
        </ul>
      </details>
    </div>
  );
}
