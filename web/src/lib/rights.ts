// What the caller may do, as the suite says.

import { session } from '../api/client';
import type { Me, Right } from '../api/types';
import { useStore } from './store';

/** Whether the signed-in caller has a right. */
export function useMay(right: Right): boolean {
  return useStore(session)?.me.rights.includes(right) ?? false;
}

/** Whether somebody may make and end keys: an owner all of them, a member their own. A key alone makes none. */
export function mayMakeKeys(me: Me | undefined): boolean {
  return Boolean(me && (me.rights.includes('keys') || (me.member_id && me.rights.includes('own_keys'))));
}

/** Whether there is anything for them on the pages about people. */
export function mayPeople(me: Me | undefined): boolean {
  return Boolean(me?.rights.includes('people')) || mayMakeKeys(me);
}
