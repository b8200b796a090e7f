// What the caller may do, as the suite says.

import { session } from '../api/client';
import type { Right } from '../api/types';
import { useStore } from './store';

/** Whether the signed-in caller has a right. */
export function useMay(right: Right): boolean {
  return useStore(session)?.me.rights.includes(right) ?? false;
}
