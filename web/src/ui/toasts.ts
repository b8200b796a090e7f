// Short messages at the edge of the page. A quiet one is only spoken, where what happened can be seen already.

import { Store } from '../lib/store';

export type ToastLook = 'good' | 'error' | 'quiet';

export interface ToastMessage {
  id: number;
  text: string;
  look: ToastLook;
}

export const toasts = new Store<ToastMessage[]>([]);
let count = 0;

export function toast(text: string, look: ToastLook = 'good'): void {
  count += 1;
  const id = count;
  toasts.set((old) => [...old.slice(-3), { id, text, look }]);
  setTimeout(() => dismiss(id), look === 'error' ? 9000 : 4000);
}

export function dismiss(id: number): void {
  toasts.set((old) => old.filter((message) => message.id !== id));
}
