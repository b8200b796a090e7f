// Where the nodes of a chain stand: in rows, what was made above what it was made from.

export interface ChainNode {
  id: string;
  /** What it is, for the family of texts `graph.kinds`. */
  kind: string;
  name: string;
  sha256?: string | null;
  origin?: string | null;
  licence?: string | null;
}
export interface ChainEdge {
  from: string;
  to: string;
  kind: string;
}
export interface Chain {
  nodes: ChainNode[];
  edges: ChainEdge[];
}
export interface Placed extends ChainNode {
  x: number;
  y: number;
}

export const BOX = { width: 188, height: 66, gapX: 20, gapY: 46 };

/** Rows by the distance from the first node; each node stands once, rings included. */
export function place(chain: Chain): { nodes: Placed[]; width: number; height: number } {
  const level = new Map<string, number>();
  const first = chain.nodes[0];
  const open: string[] = [];
  const enter = (id: string, at: number) => {
    level.set(id, at);
    open.push(id);
  };
  if (first) enter(first.id, 0);
  const spread = () => {
    for (let id = open.shift(); id !== undefined; id = open.shift()) {
      const at = level.get(id) ?? 0;
      for (const edge of chain.edges) {
        if (edge.from === id && !level.has(edge.to)) enter(edge.to, at + 1);
        if (edge.to === id && !level.has(edge.from)) enter(edge.from, at - 1);
      }
    }
  };
  spread();
  for (const node of chain.nodes) {
    if (level.has(node.id)) continue;
    enter(node.id, 0);
    spread();
  }
  const lowest = Math.min(0, ...level.values());
  const rows = new Map<number, ChainNode[]>();
  for (const node of chain.nodes) {
    const row = (level.get(node.id) ?? 0) - lowest;
    rows.set(row, [...(rows.get(row) ?? []), node]);
  }
  const widest = Math.max(1, ...[...rows.values()].map((row) => row.length));
  const width = widest * (BOX.width + BOX.gapX) + BOX.gapX;
  const nodes = [...rows].flatMap(([row, members]) => {
    const used = members.length * (BOX.width + BOX.gapX) - BOX.gapX;
    return members.map((node, at) => ({
      ...node,
      x: (width - used) / 2 + at * (BOX.width + BOX.gapX),
      y: BOX.gapX + row * (BOX.height + BOX.gapY),
    }));
  });
  return { nodes, width, height: rows.size * (BOX.height + BOX.gapY) + BOX.gapX };
}

/** Cut in the middle, so that the ending stays. */
export function short(text: string, most = 24): string {
  const letters = [...text];
  if (letters.length <= most) return text;
  const half = Math.floor((most - 1) / 2);
  return `${letters.slice(0, half).join('')}…${letters.slice(-half).join('')}`;
}
