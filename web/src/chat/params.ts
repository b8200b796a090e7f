// The sampling parameters of a conversation. What is left out is the model's own choice.

/** A type and no interface, so that it can be taken for the free object that the API stores. */
export type Params = {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  max_tokens?: number;
  seed?: number;
  repetition_penalty?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  stop?: string[];
};

export interface ParamField {
  name: Exclude<keyof Params, 'stop'>;
  min: number;
  max: number;
  step: number;
  /** What the engine takes where nothing is set. */
  usual: number | null;
  /** Wide open ranges have no slider. */
  slider: boolean;
}

export const FIELDS: readonly ParamField[] = [
  { name: 'temperature', min: 0, max: 2, step: 0.05, usual: 0.8, slider: true },
  { name: 'top_p', min: 0, max: 1, step: 0.01, usual: 0.95, slider: true },
  { name: 'top_k', min: 0, max: 200, step: 1, usual: 40, slider: true },
  { name: 'min_p', min: 0, max: 1, step: 0.01, usual: 0.05, slider: true },
  { name: 'repetition_penalty', min: 0.5, max: 2, step: 0.01, usual: 1, slider: true },
  { name: 'presence_penalty', min: -2, max: 2, step: 0.1, usual: 0, slider: true },
  { name: 'frequency_penalty', min: -2, max: 2, step: 0.1, usual: 0, slider: true },
  { name: 'max_tokens', min: 1, max: 1_000_000, step: 1, usual: null, slider: false },
  { name: 'seed', min: 0, max: Number.MAX_SAFE_INTEGER, step: 1, usual: null, slider: false },
];

/** Parameters as stored, with anything unknown or out of range left out. */
export function readParams(raw: unknown): Params {
  const params: Params = {};
  if (typeof raw !== 'object' || raw === null) return params;
  const source = raw as Record<string, unknown>;
  for (const { name, min, max } of FIELDS) {
    const value = source[name];
    if (typeof value === 'number' && value >= min && value <= max) params[name] = value;
  }
  if (Array.isArray(source.stop)) {
    const stop = source.stop.filter((text): text is string => typeof text === 'string' && text !== '').slice(0, 16);
    if (stop.length > 0) params.stop = stop;
  }
  return params;
}

/** A number typed into a field: undefined where it is empty, clamped where it is out of range. */
export function readNumber(text: string, field: ParamField): number | undefined {
  if (text.trim() === '') return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) return undefined;
  const clamped = Math.min(field.max, Math.max(field.min, value));
  return field.step >= 1 ? Math.round(clamped) : clamped;
}
