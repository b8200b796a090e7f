import { describe, expect, it } from 'vitest';
import { buildTree, type Node, newestLeaf, pathTo, siblingsOf } from './tree';

let clock = 0;
const node = (id: string, parent: string | null, role = 'user'): Node => {
  clock += 1;
  return { id, parent_id: parent, role, created_at: clock };
};

// q1 - a1 - q2 - a2
//    \ a1b     \ (q2 edited) q2b - a2b
const messages = [
  node('q1', null),
  node('a1', 'q1', 'assistant'),
  node('q2', 'a1'),
  node('a2', 'q2', 'assistant'),
  node('a1b', 'q1', 'assistant'),
  node('q2b', 'a1'),
  node('a2b', 'q2b', 'assistant'),
];
const ids = (list: Node[]) => list.map((message) => message.id);

describe('message tree', () => {
  const tree = buildTree(messages);

  it('shows the path to the head', () => {
    expect(ids(pathTo(tree, 'a2'))).toEqual(['q1', 'a1', 'q2', 'a2']);
    expect(ids(pathTo(tree, 'a1b'))).toEqual(['q1', 'a1b']);
  });

  it('falls back to the newest leaf without a head, or with one that is gone', () => {
    expect(ids(pathTo(tree, null))).toEqual(['q1', 'a1b']);
    expect(ids(pathTo(tree, 'deleted'))).toEqual(['q1', 'a1b']);
  });

  it('counts siblings, oldest first', () => {
    expect(siblingsOf(tree, 'a1b')).toMatchObject({ index: 1 });
    expect(ids(siblingsOf(tree, 'q2').all)).toEqual(['q2', 'q2b']);
    expect(siblingsOf(tree, 'q1').all).toHaveLength(1);
    expect(siblingsOf(tree, 'nobody')).toEqual({ index: 0, all: [] });
  });

  it('goes down to the newest leaf, or along the branch that was looked at last', () => {
    expect(newestLeaf(tree, 'a1')).toBe('a2b');
    expect(newestLeaf(tree, 'a1', new Map([['a1', 'q2']]))).toBe('a2');
    expect(newestLeaf(tree, 'a2')).toBe('a2');
  });

  it('keeps messages whose parent is missing, and survives a cycle', () => {
    expect(ids(pathTo(buildTree([node('x', 'gone')]), 'x'))).toEqual(['x']);
    const loop = buildTree([node('a', 'b'), node('b', 'a')]);
    expect(pathTo(loop, 'a')).toHaveLength(2);
    expect(newestLeaf(loop, 'a')).toBeTruthy();
  });

  it('is empty for an empty conversation', () => {
    expect(pathTo(buildTree([]), null)).toEqual([]);
  });
});
