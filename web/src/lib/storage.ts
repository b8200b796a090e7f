// Web storage that may be blocked or full: reading gives null then, writing does nothing.

function attempt<T>(action: () => T, otherwise: T): T {
  try {
    return action();
  } catch {
    return otherwise;
  }
}

export const local = {
  get: (key: string) => attempt(() => localStorage.getItem(key), null),
  set: (key: string, value: string) => attempt(() => localStorage.setItem(key, value), undefined),
  remove: (key: string) => attempt(() => localStorage.removeItem(key), undefined),
};

export const session = {
  get: (key: string) => attempt(() => sessionStorage.getItem(key), null),
  set: (key: string, value: string) => attempt(() => sessionStorage.setItem(key, value), undefined),
  remove: (key: string) => attempt(() => sessionStorage.removeItem(key), undefined),
};
