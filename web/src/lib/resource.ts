// Data of the suite in a component: loads, loads again, polls while the page is seen, and keeps the last good answer.

import { useCallback, useEffect, useRef, useState } from 'react';
import { connection } from './connection';
import { useStore } from './store';

export interface Resource<T> {
  data: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => Promise<void>;
  set: (next: T | ((old: T | undefined) => T)) => void;
}

/** `key` names what is loaded: another key starts afresh. `everyMs` polls. */
export function useResource<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs?: number): Resource<T> {
  const [state, setState] = useState<{ key: string; data: T | undefined; error: unknown; loading: boolean }>({
    key,
    data: undefined,
    error: null,
    loading: true,
  });
  const loader = useRef(load);
  loader.current = load;
  const running = useRef<AbortController | null>(null);
  const { epoch } = useStore(connection);

  const reload = useCallback(async () => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    try {
      const data = await loader.current(controller.signal);
      if (!controller.signal.aborted) setState({ key, data, error: null, loading: false });
    } catch (error) {
      if (controller.signal.aborted) return;
      setState((old) => ({ key, data: old.key === key ? old.data : undefined, error, loading: false }));
    }
  }, [key]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a suite that came back is asked again
  useEffect(() => {
    setState((old) =>
      old.key === key ? { ...old, loading: true } : { key, data: undefined, error: null, loading: true },
    );
    void reload();
    return () => running.current?.abort();
  }, [key, reload, epoch]);

  useEffect(() => {
    if (!everyMs) return;
    const timer = setInterval(() => {
      if (!document.hidden && connection.get().online) void reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);

  const set = useCallback(
    (next: T | ((old: T | undefined) => T)) =>
      setState((old) => ({
        ...old,
        data: typeof next === 'function' ? (next as (old: T | undefined) => T)(old.data) : next,
      })),
    [],
  );
  const current = state.key === key;
  return {
    data: current ? state.data : undefined,
    error: current ? state.error : null,
    loading: current ? state.loading : true,
    reload,
    set,
  };
}

/** The value as it was when it had been still for a while: for search fields. */
export function useDebounced<T>(value: T, delayMs: number): T {
  const [still, setStill] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setStill(value), delayMs);
    return () => clearTimeout(timer);
  }, [value, delayMs]);
  return still;
}
