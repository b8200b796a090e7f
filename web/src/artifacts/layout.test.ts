import { describe, expect, it } from 'vitest';
import { BOX, type Chain, place, short } from './layout';

const chain: Chain = {
  nodes: ['picture', 'style', 'base', 'photos', 'poster'].map((id) => ({ id, kind: 'model', name: id })),
  edges: [
    { from: 'picture', to: 'style', kind: 'made_with' },
    { from: 'style', to: 'base', kind: 'based_on' },
    { from: 'style', to: 'photos', kind: 'trained_on' },
    { from: 'poster', to: 'picture', kind: 'derived_from' },
    { from: 'base', to: 'picture', kind: 'derived_from' },
  ],
};

describe('the drawing of a chain', () => {
  it('puts what was made above what it was made from, each once and none over another', () => {
    const { nodes, width, height } = place(chain);
    expect(nodes.map((node) => node.id).sort()).toEqual(['base', 'photos', 'picture', 'poster', 'style']);
    const y = Object.fromEntries(nodes.map((node) => [node.id, node.y]));
    expect(y.poster).toBeLessThan(y.picture ?? 0);
    expect(y.picture).toBeLessThan(y.style ?? 0);
    expect(y.style).toBeLessThan(y.photos ?? 0);
    for (const one of nodes) {
      expect(one.x).toBeGreaterThanOrEqual(0);
      expect(one.x + BOX.width).toBeLessThanOrEqual(width);
      expect(one.y + BOX.height).toBeLessThanOrEqual(height);
      for (const other of nodes) {
        if (one.id === other.id) continue;
        expect(one.y !== other.y || Math.abs(one.x - other.x) >= BOX.width).toBe(true);
      }
    }
  });

  it('draws nothing of nothing, and keeps the ending of a long name', () => {
    expect(place({ nodes: [], edges: [] }).nodes).toEqual([]);
    expect(short('short.png')).toBe('short.png');
    expect(short(`${'很'.repeat(40)}.png`)).toMatch(/….*\.png$/);
  });
});
