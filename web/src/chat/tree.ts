// A conversation is a tree: an edit or another answer is a sibling, and what is shown is the path to one leaf.

export interface Node {
  id: string;
  parent_id?: string | null;
  role: string;
  created_at: number;
}

export interface Tree<T extends Node> {
  byId: Map<string, T>;
  /** Children by parent, oldest first; the roots are under null. */
  children: Map<string | null, T[]>;
}

export function buildTree<T extends Node>(messages: readonly T[]): Tree<T> {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const children = new Map<string | null, T[]>();
  for (const message of messages) {
    // A parent that is not there (an export that was cut, say) makes the message a root rather than losing it.
    const parent = message.parent_id && byId.has(message.parent_id) ? message.parent_id : null;
    const list = children.get(parent);
    if (list) list.push(message);
    else children.set(parent, [message]);
  }
  // The sort is stable: equal times keep the order of the list.
  for (const list of children.values()) list.sort((a, b) => a.created_at - b.created_at);
  return { byId, children };
}

/** The messages from the root to `head`, or to the newest leaf where `head` is not there. */
export function pathTo<T extends Node>(tree: Tree<T>, head: string | null | undefined): T[] {
  const start = head && tree.byId.has(head) ? head : newestLeaf(tree, null);
  const path: T[] = [];
  const seen = new Set<string>();
  let at = start ? tree.byId.get(start) : undefined;
  while (at && !seen.has(at.id)) {
    seen.add(at.id);
    path.push(at);
    at = at.parent_id ? tree.byId.get(at.parent_id) : undefined;
  }
  return path.reverse();
}

/** The leaf below `from` (null: anywhere) that is reached by taking the newest child each time, or the preferred one. */
export function newestLeaf<T extends Node>(
  tree: Tree<T>,
  from: string | null,
  preferred?: ReadonlyMap<string | null, string>,
): string | null {
  let at = from;
  const seen = new Set<string | null>();
  while (!seen.has(at)) {
    seen.add(at);
    const list = tree.children.get(at);
    if (!list || list.length === 0) return at;
    const wanted = preferred?.get(at);
    at = (list.find((child) => child.id === wanted) ?? list[list.length - 1])?.id ?? null;
  }
  return at;
}

/** The message's place among its siblings of the same role, from 0, and all of them. */
export function siblingsOf<T extends Node>(tree: Tree<T>, id: string): { index: number; all: T[] } {
  const message = tree.byId.get(id);
  if (!message) return { index: 0, all: [] };
  const parent = message.parent_id && tree.byId.has(message.parent_id) ? message.parent_id : null;
  const all = (tree.children.get(parent) ?? []).filter((sibling) => sibling.role === message.role);
  return { index: all.findIndex((sibling) => sibling.id === id), all };
}
